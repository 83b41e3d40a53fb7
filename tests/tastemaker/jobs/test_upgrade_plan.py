"""The plan of an encoder upgrade, in a home of small bundles; carrying it out is for the drill."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tastemaker.core import digests
from tastemaker.core.errors import ConfigError, NotFound, TastemakerError
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, Table
from tastemaker.features.config import FeatureConfig, Generation, set_current
from tastemaker.jobs import step_records, upgrade_commands, upgrade_plan, upgrade_run
from tastemaker.jobs.upgrade_plan import Plan
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.promotion.model_file import Live
from tastemaker.promotion.promote import promote_set
from tests.tastemaker.promotion.shop import signed_set

ROWS = 100
CENTS = 8.5  # a core hour


def bundle(home: Home, family: str, parents: dict[str, str], **config: object) -> str:
    card = Card(family, config, parents, reads=(parents.get("encoder", ""),))
    return write_bundle(home, card, lambda folder: None).digest


def dialogues(home: Home, parents: dict[str, str]) -> str:
    meta = json.dumps({"parents": parents, "config": {"train": 5}})
    digest = digests.of_json(meta)
    home.write_text(meta, "dialogues", digest, "meta.json")
    return digest


def encoder_of(home: Home, seed: int) -> str:
    card = Card("encoder", {"dim": 32, "seed": seed}, {}, writes_space=True)
    return write_bundle(home, card, lambda folder: None).digest


def make_space(home: Home, base: Dataset, encoder: str) -> tuple[dict[str, Live], str]:
    """Everything that reads an encoder's vectors; the live set, and the sequence's digest."""
    spaces = {**base.spaces, f"embedding_{encoder}": encoder}
    dataset = replace(base, parents=(base.digest,), spaces=spaces).save()
    given = {"dataset": dataset, "encoder": encoder}
    index, sequence = bundle(home, "index", given, kind=1), bundle(home, "sequence", given, w=2)
    talks = dialogues(home, {**given, "sequence": sequence})
    router = bundle(home, "router", {"dialogues": talks, **given, "sequence": sequence}, steps=9)
    found = {"encoder": encoder, "retrieval": index, "recommender": sequence, "router": router}
    return {model: Live(one, dataset, encoder) for model, one in found.items()}, sequence


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Home:
    shutil.copytree(template, tmp_path / "home", symlinks=True)
    return Home.open(str(tmp_path / "home"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a space that is live, with its features and what its steps took."""
    home = Home.open(str(tmp_path_factory.mktemp("template") / "home"))
    tables = {"items": Table("tables/items-x.lance", 1, ROWS, "x")}
    base = Dataset(home, "demo", tables)
    base.save()
    live, sequence = make_space(home, base, encoder_of(home, 0))
    router = live["router"]
    promote_set(home, "local", live, signed_set(home, live), "first models")
    generation = Generation("f" * 16, router.dataset, router.space, sequence, 1)
    set_current(home, FeatureConfig(), generation)
    talks = home.names("dialogues")[0]
    took = {
        "precompute_embeddings": (router.dataset, 10),
        "build_index": (live["retrieval"].bundle, 2),
        "train_sequence": (sequence, 60),
        "make_dialogues": (talks, 20),
        "train_router": (router.bundle, 600),
        "materialise_features": ("f" * 16, 5),
    }
    for step, (made, seconds) in took.items():
        step_records.record(
            home, step, made, {"dataset": router.dataset}, seconds=seconds, cpu_seconds=2 * seconds
        )
    return home.root


def live_dataset(home: Home) -> Dataset:
    from tastemaker.data.dataset import load_dataset
    from tastemaker.promotion.environment import get_live

    return load_dataset(home, get_live(home, "local", "encoder").dataset)


def to_do(plan: Plan) -> list[str]:
    return [step.role for step in plan.to_do]


def test_everything_that_reads_vectors_is_made_again_in_order(home: Home) -> None:
    plan = upgrade_plan.make(home, encoder_of(home, 1), "local")
    assert [step.step for step in plan.steps] == [
        "precompute_embeddings",
        "build_index",
        "train_sequence",
        "make_dialogues",
        "train_router",
        "gate",
        "gate",
        "gate",
        "gate",
        "materialise_features",
        "promote",
    ]
    assert len(plan.to_do) == len(plan.steps)
    assert plan.num_items == ROWS
    assert plan.steps[1].arguments["settings"] == '{"kind":1}'  # of what is live
    assert upgrade_plan.make(home, plan.encoder, "local") == plan


def test_what_is_there_is_found_by_its_inputs_and_settings(home: Home) -> None:
    encoder = encoder_of(home, 1)
    base = live_dataset(home)
    embedded = replace(
        base, parents=(base.digest,), spaces={**base.spaces, f"embedding_{encoder}": encoder}
    ).save()
    given = {"dataset": embedded, "encoder": encoder}
    bundle(home, "index", given, kind=2)  # of other settings
    bundle(home, "sequence", {**given, "encoder": "e" * 16}, w=2)  # of another encoder
    plan = upgrade_plan.make(home, encoder, "local")
    assert plan.made("dataset") == embedded
    assert (plan.made("index"), plan.made("sequence")) == ("", "")
    index, sequence = bundle(home, "index", given, kind=1), bundle(home, "sequence", given, w=2)
    plan = upgrade_plan.make(home, encoder, "local")
    assert (plan.made("index"), plan.made("sequence")) == (index, sequence)
    assert to_do(plan)[:2] == ["dialogues", "router"]
    assert plan.steps[3].arguments["sequence"] == sequence


def test_what_is_live_has_nothing_left_to_do(home: Home) -> None:
    (encoder,) = live_dataset(home).spaces.values()
    plan = upgrade_plan.make(home, encoder, "local")
    assert to_do(plan) == []
    assert upgrade_run.run(home, encoder, "local").to_do == []
    assert "nothing is left to do" in upgrade_commands.text(plan, CENTS)


def test_costs_are_those_that_were_measured(home: Home) -> None:
    plan = upgrade_plan.make(home, encoder_of(home, 1), "local")
    costs = {step.step: step.cost for step in plan.steps}
    assert costs["train_router"] is not None
    assert (costs["train_router"].seconds, costs["train_router"].cpu_s) == (600, 1200)
    embeddings = costs["precompute_embeddings"]
    assert embeddings is not None
    assert embeddings.num_bytes == ROWS * 32 * 4
    assert costs["gate"] is None
    told = upgrade_commands.body(plan, CENTS)["total"]
    assert isinstance(told, dict)
    assert told["seconds"] == 10 + 2 + 60 + 20 + 600 + 5 + 1
    assert told["cents"] == pytest.approx((697 * 2 + 1) / 3600 * CENTS, abs=1e-6)
    assert told["not_measured"] == [
        "gate encoder",
        "gate retrieval",
        "gate recommender",
        "gate router",
    ]
    text = upgrade_commands.text(plan, CENTS)
    assert "about 10.0 min, 0.333 core hours" in text
    assert "never measured in this home, and not in the sum: gate encoder" in text


def test_more_items_cost_more(home: Home) -> None:
    """The version that is served was made of a tenth of the items; its record is scaled."""
    small = Dataset(home, "demo", {"items": Table("tables/items-y.lance", 1, ROWS // 10, "y")})
    digest = small.save()
    for name in home.names("runs"):
        home.remove("runs", name)
    step_records.record(
        home, "train_sequence", "a" * 16, {"dataset": digest}, seconds=6, cpu_seconds=6
    )
    plan = upgrade_plan.make(home, encoder_of(home, 1), "local")
    cost = next(step.cost for step in plan.steps if step.step == "train_sequence")
    assert cost is not None
    assert cost.seconds == 60


def test_a_step_that_leaves_nothing_ends_the_run(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_HOME", "")
    asked: list[str] = []

    def idle(**given: str) -> str:
        asked.append(given["encoder"])
        return "a" * 16

    monkeypatch.setattr(upgrade_run, "_WORK", {"precompute_embeddings": idle})
    encoder = encoder_of(home, 1)
    with pytest.raises(TastemakerError, match="ended, but no dataset of"):
        upgrade_run.run(home, encoder, "local")
    assert asked == [encoder]


def test_what_cannot_be_planned_is_refused(home: Home) -> None:
    with pytest.raises(NotFound, match="no bundle"):
        upgrade_plan.make(home, "0" * 16, "local")
    with pytest.raises(NotFound, match="family"):
        upgrade_plan.make(home, bundle(home, "router", {}), "local")
    with pytest.raises(NotFound, match="staging"):
        upgrade_plan.make(home, encoder_of(home, 1), "staging")


def test_only_an_encoder_needs_a_plan(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    import typer
    from typer.testing import CliRunner

    monkeypatch.setenv("TASTEMAKER_HOME", str(home.root))
    app = typer.Typer()
    app.command()(lambda: None)
    upgrade_commands.add_to(app, lambda: CENTS)
    result = CliRunner().invoke(app, ["plan", "upgrade", "router", "0" * 16])
    assert isinstance(result.exception, ConfigError)
    result = CliRunner().invoke(app, ["plan", "upgrade", "encoder", encoder_of(home, 1), "--json"])
    assert json.loads(result.stdout)["left"] == 11
