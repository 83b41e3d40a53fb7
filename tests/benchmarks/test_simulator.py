"""The calibration: what each side may know, and that good recommenders are told from bad ones."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import simulator_calibration
from benchmarks.simulator_calibration import NAMES, fit, judge
from benchmarks.simulator_sets import RealSet, load

ITEMS = 200


def planted(split: str) -> RealSet:
    """Users of four groups, each of which takes items of its own fifty."""
    rng = np.random.default_rng(0)
    lists = [rng.choice(np.arange(50) + 50 * (user % 4), 12, replace=False) for user in range(400)]
    last = -1 if split == "test" else -2
    return RealSet(
        fit=[np.unique(items[:-2]) for items in lists],
        history=[items[:last] for items in lists],
        held=[items[last:][:1] for items in lists],
        num_items=ITEMS,
        has_NA=np.eye(4)[np.arange(ITEMS) // 50],
    )


def test_both_ways_tell_good_from_shuffled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator_calibration, "USERS", 60)
    monkeypatch.setattr(simulator_calibration, "BEST_FRAC", 0.1)
    judged = judge(fit(planted("val")), planted("val"))
    good, bad = NAMES.index("item_item"), NAMES.index("shuffled")
    assert judged.recall_RU[good].mean() > judged.recall_RU[bad].mean() + 0.1
    assert set(judged.success_RU) == {"factors", "traits"}
    for success_RU in judged.success_RU.values():
        assert success_RU[good].mean() > success_RU[bad].mean() + 0.1


def test_neither_side_is_fitted_on_the_other_sides_users() -> None:
    real, history = planted("val"), np.array([3, 60])
    mixed = np.random.default_rng(simulator_calibration.SEED).permutation(400)
    usual = fit(real)
    for half, recommenders_same in ((mixed[:200], True), (mixed[200:], False)):
        lists = list(real.fit)
        for user in half:
            lists[user] = (lists[user] * 7 + 5) % ITEMS  # other events for all of this half
        other = fit(replace(real, fit=[np.unique(items) for items in lists]))
        scores = [one.recommenders["item_item"](history) for one in (usual, other)]
        tastes = [one.tastes["factors"] for one in (usual, other)]
        assert np.array_equal(*scores) == recommenders_same
        assert np.allclose(*tastes) != recommenders_same


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write(text)


@pytest.mark.parametrize(
    ("split", "history", "held"), [("val", [0, 1, 2], 3), ("test", [0, 1, 2, 3], 4)]
)
def test_held_out_events_are_in_nothing_that_is_fitted(
    tmp_path: Path, split: str, history: list[int], held: int
) -> None:
    write(tmp_path / "ml1m" / "sas_sequences.txt.gz", "1 1 2 3 4 5\n2 5 4 3 2 1\n")
    rows = "".join(f"{n}\t{n}\t{n}\tFilm\tDrama|War\n" for n in range(1, 6))
    write(
        tmp_path / "ml1m" / "items.tsv.gz", "movielens_id\tncf_id\tsas_id\ttitle\tgenres\n" + rows
    )
    real = load("ml1m", split, tmp_path)
    assert real.fit[0].tolist() == [0, 1, 2]
    assert real.history[0].tolist() == history
    assert real.held[0].tolist() == [held]
    assert real.has_NA is not None
    assert real.has_NA.sum() == 10


def test_pairs_held_out_for_validation_are_not_fitted(tmp_path: Path) -> None:
    write(tmp_path / "pinterest-cf" / "train.txt.gz", "0 " + " ".join(map(str, range(20))) + "\n")
    write(tmp_path / "pinterest-cf" / "test.txt.gz", "0 20 21\n")
    val, test = (load("pinterest-cf", split, tmp_path) for split in ("val", "test"))
    assert not set(val.fit[0]) & set(val.held[0])
    assert val.fit[0].tolist() == test.fit[0].tolist()
    assert sorted(test.history[0].tolist()) == list(range(20))
    assert test.held[0].tolist() == [20, 21]
    assert val.num_items == 22
