"""Figures of simulated conversations, worked by hand."""

from dataclasses import replace

import numpy as np
import pytest

from tastemaker.evaluation.simulated_outcomes import (
    Outcome,
    cases,
    compare,
    list_diversity,
    of_ratio,
    of_share,
    summary,
    widths,
)
from tastemaker.evaluation.simulated_report import report

DONE = Outcome(
    case="user-00000",
    kind="item",
    success=True,
    ended="satisfied",
    turns=2,
    shown=20,
    distinct=15,
    taken=1,
    diversity=0.5,
    categories=0.2,
    cents=0.01,
    ms=(100.0, 300.0),
    harms=(),
    error="",
)


def many(num: int = 40) -> list[Outcome]:
    """Every other conversation succeeds; user 3 was harmed, user 5 met an error."""
    rows = []
    for number in range(num):
        row = replace(DONE, case=f"user-{number:05d}", success=number % 2 == 0)
        row = replace(row, harms=("leak",)) if number == 3 else row
        row = replace(row, error="no reply", ended="error") if number == 5 else row
        rows.append(row)
    return rows


def test_a_record_reads_back() -> None:
    assert Outcome.of_record(DONE.record()) == DONE


def test_metrics_are_means_of_their_cases() -> None:
    found, own = summary(many()), cases(many())
    assert found["session_success"].value == pytest.approx(0.5)
    assert found["turns_to_success"].value == 2
    assert len(own["turns_to_success"]) == 20
    assert found["harm_rate"].value == found["harm_leak"].value == pytest.approx(1 / 40)
    assert found["error_rate"].value == pytest.approx(1 / 40)
    assert found["turn_ms"].value == 200
    assert found["cents_per_success"].value == pytest.approx(0.02)
    for name, interval in found.items():
        assert interval.low <= interval.value <= interval.high, name


def test_a_run_without_success_has_no_cost_per_success() -> None:
    found = summary([replace(one, success=False) for one in many()])
    assert "cents_per_success" not in found
    assert "turns_to_success" not in found
    with pytest.raises(ValueError, match="no success"):
        of_ratio(np.ones(3), np.zeros(3))


def test_no_harm_seen_is_not_no_harm_possible() -> None:
    none = of_share(np.zeros(100))
    assert none.value == none.low == 0
    assert none.high == pytest.approx(0.037, abs=0.001)  # Wilson: z^2 / (n + z^2)
    half = of_share(np.array([0.0, 1.0] * 50))
    assert half.low == pytest.approx(0.404, abs=0.001)
    assert half.high == pytest.approx(0.596, abs=0.001)
    with pytest.raises(ValueError, match="no case"):
        of_share(np.zeros(0))


def test_versions_are_compared_on_the_conversations_that_both_had() -> None:
    ours, theirs = many(), [replace(one, success=False) for one in many()[:30]]
    gains = compare(cases(ours), cases(theirs))
    assert gains["session_success"].value == pytest.approx(0.5)
    assert gains["session_success"].low > 0
    assert gains["diversity"].value == gains["diversity"].low == gains["diversity"].high == 0
    assert "turns_to_success" not in gains  # no conversation succeeded with both


def test_diversity_of_equal_and_of_orthogonal_items() -> None:
    assert list_diversity(np.ones((3, 4))) == pytest.approx(0)
    assert list_diversity(np.eye(3)) == pytest.approx(1)
    assert list_diversity(np.eye(3)[:1]) == 0
    mixed = np.array([[1.0, 0], [1, 0], [0, 2]])  # one equal pair of three
    assert list_diversity(mixed) == pytest.approx(2 / 3)


def test_more_users_give_narrower_intervals() -> None:
    found = widths(np.random.default_rng(0).integers(0, 2, 200), (50, 100, 200, 500))
    assert list(found) == [50, 100, 200]
    assert found[50] > found[100] > found[200] > 0


def test_the_report_shows_figures_and_a_comparison() -> None:
    took = {"held": 40, "seconds": 3.0}
    alone = report(many(), None, {"a": "http://one"}, took)
    assert "session_success" in alone
    assert "Compared" not in alone
    assert "no reply" in alone
    both = report(many(), many(), {"a": "http://one", "b": "http://two"}, took)
    assert "Compared" in both
    assert "http://two" in both
