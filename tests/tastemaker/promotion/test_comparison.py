import math

import numpy as np
import pytest

from tastemaker.promotion import comparison
from tastemaker.promotion.comparison import Limits

Z = 1.959964


def test_a_share_has_the_limits_of_wilson() -> None:
    ones = np.zeros(100)
    ones[:10] = 1
    found = comparison.share(ones, np.ones(100), Z)
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((0.0552, 0.1744), abs=1e-4)  # by hand


def test_a_difference_of_shares_is_newcombe_s() -> None:
    # Newcombe (1998), table II, method 10: 56/70 - 48/80, 95 %: 0.0524 to 0.3339
    def part(hits: int, trials: int) -> Limits:
        one = np.zeros(trials)
        one[:hits] = 1
        return comparison.share(one, np.ones(trials), Z)

    first, second = part(56, 70), part(48, 80)
    harm = comparison.difference((first, first), (second, second))
    assert (harm.value, harm.low, harm.high) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_requests_that_fail_together_count_as_fewer() -> None:
    apart = comparison.share(np.tile([1, 0, 0, 0], 50), np.full(200, 1), Z)
    together = comparison.share(np.tile([4, 0, 0, 0], 50), np.full(200, 4), Z)
    once = comparison.share(np.tile([1, 1, 1, 1], 50), np.full(200, 4), Z)
    assert together.value == apart.value == once.value == 0.25
    assert together.high - together.low == pytest.approx(apart.high - apart.low, rel=1e-6)
    assert once.high - once.low < apart.high - apart.low


def test_a_quantile_lies_between_its_limits_and_few_values_have_none() -> None:
    values = np.exp(np.random.default_rng(0).normal(size=400))
    found = comparison.log_quantile(values, 0.5, Z)
    assert found.low < found.value < found.high
    assert found.value == pytest.approx(0, abs=0.2)
    few = comparison.log_quantile(values[:20], 0.95, 3.0)
    assert few.high == math.inf
    assert few.low > -math.inf
    assert comparison.log_quantile(values[:0], 0.5, Z).low == -math.inf


def test_limits_of_a_median_hold_as_often_as_they_say() -> None:
    draw = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        found = comparison.log_quantile(np.exp(draw.normal(size=60)), 0.5, Z)
        covered += found.low <= 0 <= found.high
    assert covered >= 0.93 * 400


def test_a_ratio_is_told_as_a_share() -> None:
    same = comparison.log_mean(np.full(10, 3.0), Z)
    half_more = comparison.log_mean(np.full(10, 4.5), Z)
    harm = comparison.as_ratio(comparison.difference((half_more, half_more), (same, same)))
    assert (harm.value, harm.low, harm.high) == pytest.approx((0.5, 0.5, 0.5))
    unknown = comparison.log_mean(np.ones(1), Z)
    harm = comparison.as_ratio(comparison.difference((unknown, unknown), (same, same)))
    assert harm.low == -1
    assert harm.high > 1e20
