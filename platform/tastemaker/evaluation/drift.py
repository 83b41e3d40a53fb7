"""How far recent data is from what a model was trained on: numbers with 95 % intervals.

Shape suffixes: N, M = rows of reference and recent, D = embedding width. Nothing here decides:
`Finding.drifted` compares the lower end of an interval with a threshold, so that few rows, which
give a wide interval, never raise an alarm.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Z = 1.96  # 95 %
_SMOOTH = 0.5  # rows added to each bin, so that an empty one has a logarithm
_MIN_BLOCK = 10  # rows of one block of `mmd2`


@dataclass(frozen=True)
class Finding:
    """One comparison.

    Attributes:
        name: What was compared.
        kind: embedding, feature or answers.
        value: The distance, or how much worse a rate became.
        low, high: Its 95 % interval.
        threshold: Above this it counts.
        num_reference, num_recent: Rows of both.
        min_rows: Of both, for a verdict at all.
    """

    name: str
    kind: str
    value: float
    low: float
    high: float
    threshold: float
    num_reference: int
    num_recent: int
    min_rows: int = 0

    @property
    def enough(self) -> bool:
        """Whether there were rows enough."""
        return min(self.num_reference, self.num_recent) >= self.min_rows

    @property
    def drifted(self) -> bool:
        """Whether even the lower end of the interval is above the threshold."""
        return self.enough and self.low > self.threshold


def shares(reference: Sequence[str], recent: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Counts of each value in both, over all values of either, in the same order."""
    names = sorted(set(reference) | set(recent))
    place = {name: number for number, name in enumerate(names)}
    counted = []
    for rows in (reference, recent):
        numbers = np.fromiter((place[row] for row in rows), np.int64, len(rows))
        counted.append(np.bincount(numbers, minlength=len(names)))
    return counted[0], counted[1]


def histograms(
    reference_N: np.ndarray, recent_M: np.ndarray, bins: int
) -> tuple[np.ndarray, np.ndarray]:
    """Counts in bins that hold equal shares of the reference; the outer ones are open."""
    edges = np.unique(np.quantile(reference_N, np.linspace(0, 1, bins + 1)[1:-1]))
    counted = [
        np.bincount(np.searchsorted(edges, rows, side="right"), minlength=len(edges) + 1)
        for rows in (reference_N, recent_M)
    ]
    return counted[0], counted[1]


def psi(reference_B: np.ndarray, recent_B: np.ndarray) -> float:
    """Population stability index of two histograms: 0 for equal ones; 0.2 is commonly "moved".

    What two samples of one distribution differ by on average, (B-1)(1/N + 1/M), is taken off, so
    that small samples do not look like drift.

    Args:
        reference_B: Counts a bin.
        recent_B: Counts in the same bins.

    Returns:
        In nats; may be a little below 0.
    """
    return _raw_psi(reference_B, recent_B) - _psi_bias(reference_B, recent_B)


def psi_interval(
    reference_B: np.ndarray, recent_B: np.ndarray, *, seed: int, rounds: int = 500
) -> tuple[float, float]:
    """95 % interval of `psi` by drawing both histograms again.

    A drawn histogram differs from its own source as much as that does from the truth, so the
    bias is taken off twice.
    """
    rng = np.random.default_rng(seed)
    drawn = [
        rng.multinomial(int(counts.sum()), counts / counts.sum(), size=rounds)
        for counts in (reference_B, recent_B)
    ]
    bias = 2 * _psi_bias(reference_B, recent_B)
    values = [_raw_psi(one, other) - bias for one, other in zip(*drawn, strict=True)]
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def mmd2(
    reference_ND: np.ndarray, recent_MD: np.ndarray, *, blocks: int = 20
) -> tuple[float, float, float]:
    """Squared maximum mean discrepancy of two sets of vectors, and its 95 % interval.

    A Gaussian kernel as wide as the median distance within the reference; the unbiased estimate
    in each of several disjoint blocks, whose spread gives the interval (a B-test). 0 for equal
    distributions, at most 2.

    Args:
        reference_ND: Rows in random order, float.
        recent_MD: Rows in random order.
        blocks: Parts of both, >= 2; fewer where there are fewer than 10 rows a block.

    Returns:
        Mean over blocks, low, high.

    Raises:
        ValueError: Fewer than 20 rows on a side.
    """
    rows = min(len(reference_ND), len(recent_MD))
    blocks = min(blocks, rows // _MIN_BLOCK)
    if blocks < 2:
        raise ValueError(f"{rows} rows: at least {2 * _MIN_BLOCK} a side are needed")
    width = _median_distance2(reference_ND[:500])
    size = rows // blocks
    values = [
        _unbiased(reference_ND[begin : begin + size], recent_MD[begin : begin + size], width)
        for begin in range(0, blocks * size, size)
    ]
    mean = float(np.mean(values))
    half = Z * float(np.std(values, ddof=1)) / math.sqrt(blocks)
    return mean, mean - half, mean + half


def direction_shift(reference_ND: np.ndarray, recent_MD: np.ndarray) -> float:
    """One minus the cosine of the two mean vectors: 0 for the same direction, 2 for opposite."""
    one, other = reference_ND.mean(axis=0), recent_MD.mean(axis=0)
    scale = float(np.linalg.norm(one) * np.linalg.norm(other))
    return 1.0 - float(one @ other) / scale if scale else 0.0


def wilson(hits: int, total: int) -> tuple[float, float]:
    """95 % interval of a rate; (0, 1) where nothing was counted."""
    if not total:
        return 0.0, 1.0
    rate, z2 = hits / total, Z * Z
    centre = (rate + z2 / (2 * total)) / (1 + z2 / total)
    half = Z / (1 + z2 / total) * math.sqrt(rate * (1 - rate) / total + z2 / (4 * total * total))
    return max(0.0, centre - half), min(1.0, centre + half)


def rise(hits: int, total: int, before_hits: int, before: int) -> tuple[float, float, float]:
    """By how much a rate rose, with Newcombe's 95 % interval.

    Args:
        hits: Cases that count, now.
        total: Of all, now.
        before_hits: Cases that counted, then.
        before: Of all, then.

    Returns:
        Difference of the rates (0 where either side is empty), low, high.
    """
    low, high = wilson(hits, total)
    then_low, then_high = wilson(before_hits, before)
    now, then = hits / total if total else 0.0, before_hits / before if before else 0.0
    difference = now - then if total and before else 0.0
    down = math.hypot(now - low, then_high - then)
    up = math.hypot(high - now, then - then_low)
    return difference, difference - down, difference + up


def _raw_psi(reference_B: np.ndarray, recent_B: np.ndarray) -> float:
    one, other = reference_B + _SMOOTH, recent_B + _SMOOTH
    p, q = one / one.sum(), other / other.sum()
    return float(((p - q) * np.log(p / q)).sum())


def _psi_bias(reference_B: np.ndarray, recent_B: np.ndarray) -> float:
    used = int(((reference_B + recent_B) > 0).sum())
    sizes = int(reference_B.sum()), int(recent_B.sum())
    return max(0, used - 1) * sum(1 / size for size in sizes if size)


def _median_distance2(rows_ND: np.ndarray) -> float:
    distances = _distances2(rows_ND, rows_ND)
    apart = distances[np.triu_indices(len(rows_ND), 1)]
    return float(np.median(apart)) or 1.0


def _unbiased(x_ND: np.ndarray, y_ND: np.ndarray, width: float) -> float:
    n = len(x_ND)
    within = sum(
        (np.exp(-_distances2(rows, rows) / width).sum() - n) / (n * (n - 1))
        for rows in (x_ND, y_ND)
    )
    return float(within - 2 * np.exp(-_distances2(x_ND, y_ND) / width).mean())


def _distances2(x_ND: np.ndarray, y_MD: np.ndarray) -> np.ndarray:
    squares = (x_ND**2).sum(1)[:, None] + (y_MD**2).sum(1)[None] - 2 * x_ND @ y_MD.T
    return np.maximum(squares, 0.0)
