"""Distances are 0 for equal sources and positive for moved ones; intervals hold both."""

import math

import numpy as np
import pytest

from tastemaker.evaluation.drift import (
    Finding,
    direction_shift,
    histograms,
    mmd2,
    psi,
    psi_interval,
    rise,
    shares,
    wilson,
)


def test_psi_by_hand() -> None:
    before, after = np.array([5000, 5000]), np.array([2500, 7500])
    by_hand = (0.5 - 0.25) * math.log(0.5 / 0.25) + (0.5 - 0.75) * math.log(0.5 / 0.75)
    assert psi(before, after) == pytest.approx(by_hand, abs=1e-3)


def test_psi_of_one_source_is_about_zero_however_few_rows_there_are() -> None:
    rng = np.random.default_rng(1)
    values = []
    for _ in range(200):
        one, other = rng.normal(size=60), rng.normal(size=60)
        values.append(psi(*histograms(one, other, 10)))
    assert abs(float(np.mean(values))) < 0.06  # without the correction: 0.3


def test_an_interval_of_psi_holds_the_value_and_leaves_zero_out_where_it_moved() -> None:
    rng = np.random.default_rng(2)
    counts = histograms(rng.normal(size=2000), rng.normal(1.0, size=2000), 10)
    low, high = psi_interval(*counts, seed=0)
    assert 0.2 < low < psi(*counts) < high


def test_shares_count_values_of_either_side() -> None:
    before, after = shares(["a", "b", "a"], ["c", "a"])
    assert before.tolist() == [2, 1, 0]
    assert after.tolist() == [1, 0, 1]


def test_mmd_tells_moved_vectors_from_vectors_of_the_same_source() -> None:
    rng = np.random.default_rng(3)
    same = mmd2(rng.normal(size=(2000, 8)), rng.normal(size=(2000, 8)))
    moved = mmd2(rng.normal(size=(2000, 8)), rng.normal(0.5, size=(2000, 8)))
    assert same[1] < 0.0 < same[2]
    assert moved[1] > 0.02


def test_mmd_does_not_depend_on_the_scale_of_the_vectors() -> None:
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=(400, 4)), rng.normal(0.3, size=(400, 4))
    assert mmd2(one, other) == pytest.approx(mmd2(100 * one, 100 * other))


def test_mmd_refuses_too_few_rows() -> None:
    with pytest.raises(ValueError, match="19 rows"):
        mmd2(np.zeros((19, 2)), np.zeros((50, 2)))


def test_direction_shift_of_opposite_means_is_two() -> None:
    rows = np.ones((5, 3))
    assert direction_shift(rows, -rows) == pytest.approx(2.0)
    assert direction_shift(rows, 7 * rows) == pytest.approx(0.0)


def test_wilson_by_hand_and_at_its_ends() -> None:
    low, high = wilson(5, 10)
    assert (round(low, 3), round(high, 3)) == (0.237, 0.763)  # the textbook's figures
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 10)[0] == 0.0


def test_a_rise_has_an_interval_that_narrows_with_rows() -> None:
    few, many = rise(2, 10, 1, 10), rise(2000, 10_000, 1000, 10_000)
    assert few[0] == pytest.approx(many[0]) == pytest.approx(0.1)
    assert few[1] < 0 < many[1]


def finding(low: float, rows: int) -> Finding:
    return Finding("x", "feature", 0.5, low, 0.6, 0.2, rows, rows, min_rows=100)


def test_only_a_whole_interval_above_the_threshold_with_rows_enough_is_drift() -> None:
    assert finding(0.3, 100).drifted
    assert not finding(0.1, 100).drifted
    assert not finding(0.3, 99).drifted
