"""train_sequence and evaluate_sequence on a synthetic shop with a rule that can be learnt."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.core.errors import DataError, NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset, write_table
from tastemaker.data.records import EVENTS
from tastemaker.evaluation.cases import mean
from tastemaker.evaluation.tracking import find
from tastemaker.jobs import evaluate_sequence, train_sequence
from tastemaker.promotion.bundle import Card, load_bundle, write_bundle
from tastemaker.sequence.config import SequenceConfig
from tastemaker.sequence.recommender import load_sequence

NUM_GROUPS, PER_GROUP, DIM = 6, 10, 16
CONFIG = SequenceConfig(
    width=32,
    layers=1,
    heads=2,
    max_events=16,
    user_dim=16,
    steps=60,
    batch_users=16,
    checkpoint_every=10,
    threads=1,
)


def new_home(folder: Path, *, users: int = 40) -> tuple[Home, str, str]:
    """Items in clusters; after an item of group g comes one of group g + 1."""
    home = Home.open(str(folder))
    rng = np.random.default_rng(0)
    card = Card(family="encoder", config={}, parents={}, writes_space=True)
    encoder = write_bundle(home, card, lambda folder: None).digest
    centres = np.repeat(rng.normal(size=(NUM_GROUPS, DIM)), PER_GROUP, axis=0)
    vectors = centres + 0.3 * rng.normal(size=centres.shape)
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    column = f"embedding_{encoder}"
    items = pa.table(
        {
            "item_id": [f"i{n}" for n in range(len(vectors))],
            "image": [b"\xff\xd8"] * len(vectors),
            "title": [f"item {n}" for n in range(len(vectors))],
            column: pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM),
        }
    )
    rows = []
    for user in range(users):
        group, met = int(rng.integers(NUM_GROUPS)), set()
        for time in range(14):
            open_items = [group * PER_GROUP + n for n in range(PER_GROUP)]
            item = int(rng.choice([n for n in open_items if n not in met]))
            met.add(item)
            group = (group + 1) % NUM_GROUPS
            rows.append((f"u{user:03d}", "s", f"i{item}", "save", "feed", time))
    columns = dict(zip(EVENTS.names, zip(*rows, strict=True), strict=True)) if rows else None
    events = pa.table(columns, schema=EVENTS) if columns else EVENTS.empty_table()
    tables = {"items": write_table(home, "items", items)}
    tables["events"] = write_table(home, "events", events)
    dataset = Dataset(home=home, name="shop", tables=tables, spaces={column: encoder})
    return home, dataset.save(), encoder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, str, str, str]:
    home, dataset, encoder = new_home(tmp_path_factory.mktemp("home"))
    return home, dataset, encoder, train_sequence.run(home, dataset, encoder, CONFIG)


def test_killed_and_resumed_it_gives_the_same_bundle(
    trained: tuple[Home, str, str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, dataset, encoder, straight = trained
    home, *again = new_home(tmp_path / "home")
    assert again == [dataset, encoder]
    drawn = train_sequence.batch

    def dies(*args, step: int, **kwargs):  # type: ignore[no-untyped-def]
        if step == 33:
            raise KeyboardInterrupt
        return drawn(*args, step=step, **kwargs)

    monkeypatch.setattr(train_sequence, "batch", dies)
    with pytest.raises(KeyboardInterrupt):
        train_sequence.run(home, dataset, encoder, CONFIG)
    assert list((home.root / "checkpoints").iterdir())
    monkeypatch.setattr(train_sequence, "batch", drawn)
    assert train_sequence.run(home, dataset, encoder, CONFIG) == straight
    assert not list((home.root / "checkpoints").iterdir())


def test_the_bundle_names_its_space_and_serves_its_catalogue(
    trained: tuple[Home, str, str, str],
) -> None:
    home, dataset, encoder, sequence = trained
    bundle = load_bundle(home, sequence, family="sequence")
    assert bundle.card.reads == (encoder,)
    assert bundle.card.parents == {"dataset": dataset, "encoder": encoder}
    assert len(load_sequence(bundle.path).item_ids) == NUM_GROUPS * PER_GROUP


def test_it_learns_the_rule_and_the_report_shows_it(trained: tuple[Home, str, str, str]) -> None:
    home, dataset, _, sequence = trained
    digest = evaluate_sequence.run(home, dataset, sequence)
    assert evaluate_sequence.run(home, dataset, sequence) == digest
    folder = home.path("evaluations", sequence, dataset)
    kept = find(home, sequence, dataset)
    assert kept is not None
    metrics = kept.metrics
    assert len(kept.cases["test_hr@10_model"]) == 40
    assert mean(kept.cases["test_hr@10_model"]) == metrics["test_hr@10_model"]
    assert metrics["num_test_users"] == 40
    # ten items may follow; the user has met two or three of them
    assert metrics["test_hr@10_model"] > 0.9
    assert metrics["test_hr@10_model"] > metrics["test_hr@10_mean_embedding"] + 0.3
    strongest = max(metrics[f"test_hr@10_{name}"] for name in evaluate_sequence.BASELINES)
    gain = metrics["test_hr@10_model"] - strongest
    assert 0 < metrics["test_hr@10_gain_low"] <= gain <= metrics["test_hr@10_gain_high"]
    page = (folder / "report.html").read_text()
    assert f"{metrics['test_hr@10_model']:.3f}" in page
    assert "u000" in page


def test_it_is_judged_on_a_later_version_with_items_that_it_does_not_know(
    trained: tuple[Home, str, str, str],
) -> None:
    home, dataset, encoder, sequence = trained
    data = load_dataset(home, dataset)
    items, events = data.read("items"), data.read("events")
    new = items.slice(0, 1).set_column(0, "item_id", pa.array(["new"]))
    last = events.slice(0, 14).to_pylist()
    last[-1]["item_id"] = "new"  # what u000 takes last is newer than the model
    changed = pa.concat_tables([pa.Table.from_pylist(last, schema=EVENTS), events.slice(14)])
    tables = {
        "items": write_table(home, "items", pa.concat_tables([items.slice(1), new])),
        "events": write_table(home, "events", changed),
    }
    spaces = {f"embedding_{encoder}": encoder}
    later = Dataset(home=home, name="shop", tables=tables, spaces=spaces).save()
    evaluate_sequence.run(home, later, sequence)
    evaluate_sequence.run(home, dataset, sequence)
    now, before = find(home, sequence, later), find(home, sequence, dataset)
    assert now is not None
    assert before is not None
    for method in ("model", *evaluate_sequence.BASELINES):
        cases = now.cases[f"test_hr@10_{method}"]
        assert cases["u000"] == 0
        assert cases.keys() == before.cases[f"test_hr@10_{method}"].keys()
    # item i0 is gone: whoever took it last cannot be served, the others at least as well
    better = now.cases["val_hr@10_model"], before.cases["val_hr@10_model"]
    assert sum(better[0].values()) >= sum(better[1].values()) - 3


def test_what_cannot_be_trained_on_is_named(
    trained: tuple[Home, str, str, str], tmp_path: Path
) -> None:
    home, dataset, _, sequence = trained
    with pytest.raises(NotFound, match="family 'sequence', not 'encoder'"):
        train_sequence.run(home, dataset, sequence, CONFIG)
    empty, nobody, encoder = new_home(tmp_path / "empty", users=0)
    with pytest.raises(DataError, match="no user has 4 positive events"):
        train_sequence.run(empty, nobody, encoder, CONFIG)
