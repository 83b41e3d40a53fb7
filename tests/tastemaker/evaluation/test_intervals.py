import numpy as np
import pytest

from tastemaker.evaluation import intervals


def some(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random(400) < 0.4, rng.random(400) < 0.2


def test_a_paired_interval_holds_the_mean_and_knows_no_difference() -> None:
    ours, theirs = some()
    found = intervals.of_paired_gain(ours, theirs, seed=1)
    assert 0 < found.low < found.value < found.high
    assert found.value == pytest.approx(ours.mean() - theirs.mean())
    assert intervals.of_paired_gain(ours, theirs, seed=1) == found
    same = intervals.of_paired_gain(ours, ours, seed=1)
    assert (same.value, same.low, same.high) == (0, 0, 0)
    # the normal approximation of a paired difference
    error = 1.96 * (ours.astype(float) - theirs).std() / np.sqrt(400)
    assert found.high - found.low == pytest.approx(2 * error, rel=0.1)


def test_what_moves_together_is_told_apart_by_pairs_alone() -> None:
    rng = np.random.default_rng(2)
    theirs = rng.random(300)
    ours = theirs + 0.02 + 0.01 * rng.standard_normal(300)
    assert intervals.of_paired_gain(ours, theirs).low > 0
    unpaired = intervals.of_unpaired_gain(ours, theirs)
    assert unpaired.low < 0 < unpaired.high
    assert unpaired.value == pytest.approx((ours - theirs).mean())


def test_unpaired_sides_may_differ_in_size() -> None:
    found = intervals.of_unpaired_gain(np.ones(30), np.zeros(7))
    assert (found.low, found.high) == (1, 1)


def test_a_slow_outlier_does_not_move_the_median() -> None:
    found = intervals.of_median(np.array([1.0] * 9 + [50.0]))
    assert (found.value, found.low) == (1, 1)
    assert found.high < 2


def test_drawing_in_blocks_is_drawing_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(50.0)
    at_once = intervals.of_mean(values, seed=3)
    monkeypatch.setattr(intervals, "_BLOCK", 120)
    assert intervals.of_mean(values, seed=3) == at_once


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="not paired"):
        intervals.of_paired_gain(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="no case"):
        intervals.of_mean(np.zeros(0))
