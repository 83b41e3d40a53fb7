from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from tastemaker.assistant.tools.ranking import (
    diversified,
    outcome_rates,
    rank_by_outcome,
    rank_by_text_and_taste,
    spread_over,
)
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, write_table
from tastemaker.data.records import EVENTS


def test_ranking_by_hand() -> None:
    fitting = [("a", 3.0), ("b", 2.0), ("c", 1.0)]
    ranked = rank_by_text_and_taste(fitting, {"c": 9.0, "z": 4.0})
    # text: +1.22, 0, -1.22; taste 4, 4, 9: -0.71, -0.71, +1.41
    assert [name for name, _ in ranked] == ["a", "c", "b"]
    assert [score for _, score in ranked] == pytest.approx([0.5176, 0.1895, -0.7071], abs=1e-3)
    assert [name for name, _ in rank_by_text_and_taste(fitting, {})] == ["a", "b", "c"]
    assert rank_by_text_and_taste([], {"a": 1.0}) == []


def test_an_outcome_ranks_by_taste_and_by_rate() -> None:
    candidates = [("a", 2.0), ("b", 1.0)]  # in deviations: +1, -1
    # log rates in deviations: -1, +1, at half weight
    ranked = rank_by_outcome(candidates, {"a": 0.1, "b": 0.2})
    assert ranked == [("a", pytest.approx(0.5)), ("b", pytest.approx(-0.5))]
    level = [("a", 1.0), ("b", 1.0)]
    assert [name for name, _ in rank_by_outcome(level, {"a": 0.1, "b": 0.2})] == ["b", "a"]
    assert rank_by_outcome(candidates, {}) == candidates


def test_an_item_that_was_never_shown_counts_as_the_mean() -> None:
    level = [("new", 1.0), ("good", 1.0), ("bad", 1.0)]
    ranked = rank_by_outcome(level, {"good": 0.3, "bad": 0.1})
    assert [name for name, _ in ranked] == ["good", "new", "bad"]


def test_diversity_by_hand() -> None:
    ranked = [("a", 3.0), ("twin", 2.0), ("other", 1.0)]  # wanted 1, 0.5, 0
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    # after a: twin 0.25 - 0.5, other 0
    assert diversified(ranked, vectors, 2, relevance=0.5) == [("a", 3.0), ("other", 1.0)]
    assert diversified(ranked, vectors, 3, relevance=1.0) == ranked
    assert diversified([], vectors[:0], 3, relevance=0.5) == []


def test_a_kind_is_not_shown_too_often_while_there_are_others() -> None:
    ranked = [("a", 4.0), ("b", 3.0), ("c", 2.0), ("d", 1.0)]
    kinds = {"a": "vase", "b": "vase", "c": "vase", "d": "rug"}
    assert [i for i, _ in spread_over(ranked, kinds, 3, per_kind=2)] == ["a", "b", "d"]
    assert [i for i, _ in spread_over(ranked, kinds, 4, per_kind=1)] == ["a", "d", "b", "c"]


def test_rates_are_smoothed_towards_the_catalogues(tmp_path: Path) -> None:
    home = Home(tmp_path)
    event = {"user_id": "u", "session_id": "s", "surface": "feed", "time": 0}
    shown = [{**event, "item_id": name, "action": "impression"} for name in ["a"] * 20 + ["b"] * 80]
    saved = [{**event, "item_id": "a", "action": "save"} for _ in range(10)]
    table = pa.Table.from_pylist(shown + saved, schema=EVENTS)
    data = Dataset(home, "demo", {"events": write_table(home, "events", table)})
    rates = outcome_rates(data)
    # overall 10 in 100; a: (10 + 20 * 0.1) / (20 + 20), b: (0 + 2) / (80 + 20)
    assert rates == {"save": {"a": pytest.approx(0.3), "b": pytest.approx(0.02)}}


def test_without_events_there_are_no_rates(tmp_path: Path) -> None:
    assert outcome_rates(Dataset(Home(tmp_path), "demo", {})) == {}
