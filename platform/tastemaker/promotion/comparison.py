"""Two-sample comparisons without assumptions on the shape of what is compared.

Each figure has limits in each sample: Wilson's for shares, order statistics for quantiles, the
normal ones for a mean. The limits of a difference come from those of its two parts by the method
of variance estimates recovery (Newcombe 1998 for shares; Zou and Donner 2008 in general). They
hold far out in the tails, where the judge of canaries looks and a bootstrap of a thousand draws
has nothing to say, and need no seed.

Everything is told as harm: positive is worse for the first sample. Letter: N = units of a sample.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

INF = math.inf


@dataclass(frozen=True)
class Limits:
    """A figure of one sample with its lower and upper limit."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Harm:
    """How much worse the first sample is, with limits.

    Attributes:
        value: Best guess.
        low: Harm is at least this, at the confidence asked for reverting.
        high: Harm is at most this, at the confidence asked for going on.
    """

    value: float
    low: float
    high: float


def quantile_of_normal(alpha: float) -> float:
    """Standard errors that a standard normal value exceeds with chance alpha, in (0, 0.5]."""
    return NormalDist().inv_cdf(1 - alpha)


def share(hits_N: np.ndarray, trials_N: np.ndarray, z: float) -> Limits:
    """Wilson's limits of a share of trials that come in units (requests of a turn).

    What happens within a unit is not independent; the number of trials counts as fewer by the
    design effect, the variance between units over the one of independent trials.

    Args:
        hits_N: Hits of each unit.
        trials_N: Trials of each unit, >= hits.
        z: Standard errors to the limits.
    """
    num = float(trials_N.sum())
    if num == 0:
        return Limits(0.0, 0.0, 1.0)
    p = float(hits_N.sum()) / num
    if 0 < p < 1:
        between = float(((hits_N - p * trials_N) ** 2).sum()) / num**2
        num /= max(1.0, between / (p * (1 - p) / num))
    middle = (p + z * z / (2 * num)) / (1 + z * z / num)
    half = z * math.sqrt(p * (1 - p) / num + z * z / (4 * num * num)) / (1 + z * z / num)
    return Limits(p, max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half)))


def log_quantile(values_N: np.ndarray, q: float, z: float) -> Limits:
    """Logarithm of a quantile of positive values, with limits from order statistics.

    A limit that would lie outside of the sample is infinite: too few values to say.
    """
    num = len(values_N)
    if num == 0:
        return Limits(0.0, -INF, INF)
    ranked = np.sort(values_N)
    spread = z * math.sqrt(num * q * (1 - q))
    at = min(num - 1, int(num * q))
    low, high = math.floor(num * q - spread) - 1, math.ceil(num * q + spread)
    return Limits(
        math.log(ranked[at]),
        math.log(ranked[low]) if low >= 0 else -INF,
        math.log(ranked[high]) if high < num else INF,
    )


def log_mean(values_N: np.ndarray, z: float) -> Limits:
    """Logarithm of the mean of values >= 0 that are not all 0, with normal limits."""
    if len(values_N) < 2:
        return Limits(0.0, -INF, INF)
    mean = float(values_N.mean())
    half = z * float(values_N.std(ddof=1)) / math.sqrt(len(values_N)) / mean
    return Limits(math.log(mean), math.log(mean) - half, math.log(mean) + half)


def difference(first: tuple[Limits, Limits], second: tuple[Limits, Limits]) -> Harm:
    """First minus second.

    Args:
        first: Its limits at the confidence of reverting, and at that of going on.
        second: Likewise.
    """
    (a, b), (a_on, b_on) = (first[0], second[0]), (first[1], second[1])
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    high = value + math.hypot(a_on.high - a_on.value, b_on.value - b_on.low)
    return Harm(value, low, high)


def as_ratio(harm: Harm) -> Harm:
    """A difference of logarithms as a share: 0.2 is a fifth more."""
    return Harm(*(math.expm1(min(one, 50.0)) for one in (harm.value, harm.low, harm.high)))
