"""The gates on real bundles: what passes, what is stopped, and what is found again."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from tastemaker.core.errors import ConfigError, DataError
from tastemaker.data.dataset import Dataset, load_dataset, write_table
from tastemaker.evaluation import tracking
from tastemaker.evaluation.gate_config import GatesConfig, load_gates
from tastemaker.jobs import gate, gate_commands, train_sequence
from tastemaker.jobs.gate import GateFailed
from tastemaker.jobs.gate_asked import Simulation
from tastemaker.promotion import evidence as ev
from tastemaker.promotion.bundle import Card, load_bundle, write_bundle
from tastemaker.promotion.signing import key_id, private_key
from tests.tastemaker.jobs.test_sequence_jobs import CONFIG, new_home

pytestmark = pytest.mark.slow  # real training, evaluations and an MLflow database

# the rules of the default preset, for a shop of 40 users where chance is 0.17 and its rule 1
RULES = {
    "min_cases": 20,
    "floors": {"test_hr@10_model": 0.5},
    "beats": load_gates("sequence").beats,
    "no_regression": {"test_hr@10_model": {"tolerance": 0.05, "resolution": 0.3}},
    "max_latency_ratio": 50.0,  # a busy machine is no part of these tests
    "max_cost_ratio": 50.0,
    "max_request_ms": 60_000,
    "max_mib": 64,
    "max_size_ratio": 4.0,
}


class Shop:
    """A home with an encoder, a user model that learnt the rule, and one on shuffled targets."""

    def __init__(self, folder: Path) -> None:
        self.home, self.dataset, self.encoder = new_home(folder)
        self.good = train_sequence.run(self.home, self.dataset, self.encoder, CONFIG)
        self.shuffled = train_sequence.run(self.home, self._shuffled(), self.encoder, CONFIG)
        self.manifests = folder / "live"

    def judge(self, bundle: str, **changes: Any) -> str:
        beside = changes.pop("beside", None)
        again = changes.pop("again", False)
        config = GatesConfig(**{**RULES, **changes})
        model, data = "recommender", self.dataset
        return gate.run(self.home, model, bundle, data, config=config, beside=beside, again=again)

    def refused(self, bundle: str, **changes: Any) -> tuple[GateFailed, ev.Evidence]:
        with pytest.raises(GateFailed) as caught:
            self.judge(bundle, **changes)
        return caught.value, self.read(caught.value.evidence)

    def read(self, digest: str) -> ev.Evidence:
        public = private_key(self.home).public_key()
        return ev.verify(ev.load_text(self.home, digest), {key_id(public): public})

    def page(self, digest: str) -> str:
        return self.home.read_text("evidence", f"{digest}.html") or ""

    def _shuffled(self) -> str:
        """The same items and users; which item an event is of is drawn anew."""
        data = load_dataset(self.home, self.dataset)
        events = data.read("events")
        order = np.random.default_rng(0).permutation(len(events))
        place = events.schema.get_field_index("item_id")
        mixed = events.set_column(place, events.schema.field(place), events["item_id"].take(
            pa.array(order)))  # fmt: skip
        tables = {**data.tables, "events": write_table(self.home, "events", mixed)}
        return Dataset(home=self.home, name="shop", tables=tables, spaces=data.spaces).save()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("gate"))


@pytest.fixture(autouse=True)
def live(shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Makes a recommender live for one test; nothing else is."""
    monkeypatch.setenv("TASTEMAKER_MANIFESTS", str(tmp_path))
    monkeypatch.delenv("TASTEMAKER_SIGNING_KEY", raising=False)

    def set_live(bundle: str) -> None:
        file = tmp_path / "models" / "local" / "recommender.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        pins = {"bundle": bundle, "dataset": shop.dataset, "space": shop.encoder}
        file.write_text("".join(f'{key}: "{value}"\n' for key, value in pins.items()))

    return set_live


def test_a_good_bundle_passes_and_its_evidence_says_all(shop: Shop) -> None:
    digest = shop.judge(shop.good)
    found = shop.read(digest)
    assert found.passed
    assert (found.bundle, found.dataset, found.space) == (shop.good, shop.dataset, shop.encoder)
    assert (found.environment, found.baseline) == ("local", "")
    assert found.evaluated_on == {"dataset": shop.dataset}
    assert found.thresholds.startswith("changed ")
    metric = found.metrics["test_hr@10_model"]
    assert metric.low <= metric.value <= metric.high
    assert (metric.cases, metric.gain) == (40, None)
    assert found.cost["request_ms"] > 0
    page = shop.page(digest)
    assert "May be promoted" in page
    assert "somebody changed them by hand" in page
    assert f"tastemaker promote {shop.good} --to local" in page
    assert "data:image/png" in page


def test_a_bundle_trained_on_shuffled_labels_is_stopped(shop: Shop) -> None:
    error, found = shop.refused(shop.shuffled)
    assert not found.passed
    failed = {one.name for one in found.gates if not one.passed}
    assert failed == {"floor:test_hr@10_model"}
    assert "floor:test_hr@10_model" in str(error)
    assert "Refused" in shop.page(error.evidence)
    assert "tastemaker promote" not in shop.page(error.evidence)


def test_it_is_stopped_by_what_is_live_alone(shop: Shop, live: Callable[[str], None]) -> None:
    live(shop.good)
    _, found = shop.refused(shop.shuffled, floors={}, beats=())
    assert {one.name for one in found.gates if not one.passed} == {"no_regression:test_hr@10_model"}
    metric = found.metrics["test_hr@10_model"]
    assert (found.baseline, metric.comparison) == (shop.good, "paired")
    assert metric.gain_high is not None
    assert metric.gain_high < -0.3


def test_a_better_one_passes_beside_a_bad_live_one_and_costs_are_compared(
    shop: Shop, live: Callable[[str], None]
) -> None:
    live(shop.shuffled)
    digest = shop.judge(shop.good)
    found = shop.read(digest)
    assert {"latency:ratio", "cost:ratio", "size:ratio"} <= {one.name for one in found.gates}
    assert "surely better" in shop.page(digest)
    assert "What changed against the live bundle" in shop.page(digest)
    assert "Gain over the live bundle" in shop.page(digest)


def test_the_same_inputs_give_the_same_evidence_until_it_is_stale(
    shop: Shop, live: Callable[[str], None]
) -> None:
    first = shop.judge(shop.good)
    assert shop.judge(shop.good) == first
    with pytest.raises(GateFailed) as before:
        shop.judge(shop.shuffled)
    with pytest.raises(GateFailed) as after:
        shop.judge(shop.shuffled)
    assert before.value.evidence == after.value.evidence
    assert shop.judge(shop.good, again=True) != first
    live(shop.good)  # another baseline is another question
    assert shop.read(shop.judge(shop.good)).baseline == shop.good
    one = shop.judge(shop.good, fresh_days=1e-9)
    assert shop.judge(shop.good, fresh_days=1e-9) != one


def test_evidence_that_was_edited_is_not_found_again(shop: Shop) -> None:
    first = shop.judge(shop.good, max_mib=63)
    path = shop.home.path("evidence", f"{first}.json")
    path.write_text(path.read_text().replace('"run":""', '"run":"x"'))
    assert shop.judge(shop.good, max_mib=63) != first


def test_another_space_beside_it_is_refused(shop: Shop) -> None:
    card = Card(family="encoder", config={"other": 1}, parents={}, writes_space=True)
    other = write_bundle(shop.home, card, lambda folder: None).digest
    error, found = shop.refused(shop.good, beside={"encoder": other})
    assert {one.name for one in found.gates if not one.passed} == {"space:encoder"}
    assert other in str(error)
    assert shop.judge(shop.good, beside={"encoder": shop.encoder})


def test_a_live_bundle_that_is_gone_stops_every_other(
    shop: Shop, live: Callable[[str], None]
) -> None:
    live("0" * 16)
    _, found = shop.refused(shop.good)
    assert {one.name for one in found.gates if not one.passed} == {"no_regression:baseline"}


def test_a_live_bundle_that_cannot_run_is_compared_by_its_own_figures(
    shop: Shop, live: Callable[[str], None]
) -> None:
    card = load_bundle(shop.home, shop.good).card
    broken = write_bundle(shop.home, card, lambda folder: None).digest
    live(broken)
    _, found = shop.refused(shop.good)
    assert [one.value for one in found.gates if not one.passed] == ["none"]
    tracking.record(
        shop.home,
        bundle_digest=broken,
        family="sequence",
        dataset="another",
        metrics={},
        cases={"test_hr@10_model": {f"u{n}": float(n % 2) for n in range(60)}},
        params={},
        report_html="",
    )
    digest = shop.judge(shop.good, again=True)
    metric = shop.read(digest).metrics["test_hr@10_model"]
    assert metric.comparison == "unpaired"
    assert "the comparison is unpaired" in shop.page(digest)


def test_harm_in_simulated_conversations_stops_it(shop: Shop) -> None:
    for harmed, passed in ((0, True), (30, False)):
        cases = {"harm_rate": {f"c{n}": float(n < harmed) for n in range(400)}}
        arguments = (shop.home, "recommender", shop.good, shop.dataset)
        words: dict[str, Any] = {
            "config": GatesConfig(**RULES),
            "simulation": Simulation(cases),
        }
        if passed:
            assert shop.read(gate.run(*arguments, **words)).passed
        else:
            with pytest.raises(GateFailed, match="safety:harm_rate"):
                gate.run(*arguments, **words)


def test_what_cannot_be_judged_is_named(shop: Shop) -> None:
    with pytest.raises(ConfigError, match="the models are encoder, retrieval"):
        gate.run(shop.home, "sequence", shop.good, shop.dataset)
    copy = shop.home.path("bundles", "f" * 16)
    copy.mkdir()
    (copy / "bundle.yaml").write_text((shop.home.path("bundles", shop.good) / "bundle.yaml")
                                      .read_text())  # fmt: skip
    with pytest.raises(DataError, match="corrupted"):
        shop.judge("f" * 16)


def test_evidence_is_shown_and_verified_from_the_command_line(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_HOME", str(shop.home.root))
    digest = shop.judge(shop.good)
    run = CliRunner()
    shown = run.invoke(gate_commands.evidence_app, ["show", digest])
    assert "passed  floor:test_hr@10_model" in shown.output
    verified = run.invoke(gate_commands.evidence_app, ["verify", digest])
    assert f"genuine: recommender {shop.good} passed" in verified.output
    file = tmp_path / "line.json"
    file.write_text(ev.load_text(shop.home, digest).replace('"run":""', '"run":"x"') + "\n")
    edited = run.invoke(gate_commands.evidence_app, ["verify", str(file)])
    assert edited.exit_code != 0
    assert "changed after it was signed" in str(edited.exception)
