"""95 % intervals by the bootstrap: what the luck of which cases were drawn can explain."""

from dataclasses import dataclass

import numpy as np

DRAWS = 2000
_BLOCK = 4_000_000  # numbers drawn at a time: 32 MB
_EDGES = (0.025, 0.975)


@dataclass(frozen=True)
class Interval:
    """A figure, and between what it lies with 95 % confidence."""

    value: float
    low: float
    high: float


def of_mean(values_N: np.ndarray, *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """Mean of cases, drawn anew with replacement.

    Args:
        values_N: At least one.
        seed: Of the draws.
        draws: How often.

    Raises:
        ValueError: No case.
    """
    means = _drawn_means(np.asarray(values_N, np.float64), np.random.default_rng(seed), draws)
    return _interval(float(np.mean(values_N)), means)


def of_paired_gain(
    ours_N: np.ndarray, theirs_N: np.ndarray, *, seed: int = 0, draws: int = DRAWS
) -> Interval:
    """Mean difference of two methods on the same cases.

    An interval below or above 0 is a difference that the luck of the draw does not explain.

    Raises:
        ValueError: Not the same number of cases, or none.
    """
    if ours_N.shape != theirs_N.shape:
        raise ValueError(f"{ours_N.shape} and {theirs_N.shape} outcomes are not paired")
    return of_mean(ours_N.astype(np.float64) - theirs_N, seed=seed, draws=draws)


def of_unpaired_gain(
    ours_N: np.ndarray, theirs_M: np.ndarray, *, seed: int = 0, draws: int = DRAWS
) -> Interval:
    """Difference of the means of two methods, each on cases of its own: wider than paired.

    Raises:
        ValueError: A side without cases.
    """
    rng = np.random.default_rng(seed)
    ours = _drawn_means(np.asarray(ours_N, np.float64), rng, draws)
    theirs = _drawn_means(np.asarray(theirs_M, np.float64), rng, draws)
    return _interval(float(np.mean(ours_N) - np.mean(theirs_M)), ours - theirs)


def of_median(values_N: np.ndarray, *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """Median of a few measurements (times), which a slow outlier does not move."""
    values = np.asarray(values_N, np.float64)
    drawn = np.random.default_rng(seed).integers(len(values), size=(draws, len(values)))
    return _interval(float(np.median(values)), np.median(values[drawn], axis=1))


def _drawn_means(values_N: np.ndarray, rng: np.random.Generator, draws: int) -> np.ndarray:
    if not len(values_N):
        raise ValueError("no case to take a mean of")
    at_once = max(1, _BLOCK // len(values_N))
    parts = [
        values_N[rng.integers(len(values_N), size=(min(at_once, draws - begin), len(values_N)))]
        .mean(1)
        for begin in range(0, draws, at_once)
    ]  # fmt: skip
    return np.concatenate(parts)


def _interval(value: float, drawn: np.ndarray) -> Interval:
    low, high = np.quantile(drawn, _EDGES)
    return Interval(value, float(low), float(high))
