"""What simulated conversations came to: outcomes, metrics with intervals, two versions compared.

Shape suffixes: N = conversations, K = items of a list, D = embedding width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from tastemaker.evaluation.cases import Cases, aligned
from tastemaker.evaluation.intervals import DRAWS, Interval, of_mean, of_paired_gain

HARMS = ("withdrawn", "hidden", "leak")
_RARE = ("harm", "error")  # shares near 0, whose bootstrap interval would be a point
_Z = 1.96  # of 95 %


@dataclass(frozen=True)
class Outcome:
    """One conversation.

    Attributes:
        case: Id of user and seed: the same for every system.
        kind: Of the goal.
        success: Whether the user took all that they wanted.
        ended: satisfied, impatient, turns or error.
        turns: That were answered.
        shown: Items shown, each list counted whole.
        distinct: Different ones among them.
        taken: Items taken.
        diversity: Mean distance (1 - cosine) of two items of a list, mean over lists; 0 of none.
        categories: Different categories of a list by its length, mean over lists.
        cents: By the ledger's fields of every turn.
        ms: Of each turn, as the client saw it.
        harms: `withdrawn` (an item that the dataset version does not hold, or that was set
            aside), `hidden` (an item that this user hid), `leak` (another user's secret).
        error: What went wrong, "" for nothing.
    """

    case: str
    kind: str
    success: bool
    ended: str
    turns: int
    shown: int
    distinct: int
    taken: int
    diversity: float
    categories: float
    cents: float
    ms: tuple[float, ...]
    harms: tuple[str, ...]
    error: str

    def record(self) -> dict[str, Any]:
        """JSON values only."""
        return asdict(self)

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Read `record` back."""
        return cls(**{**record, "ms": tuple(record["ms"]), "harms": tuple(record["harms"])})


def list_diversity(vectors_KD: np.ndarray) -> float:
    """Mean of 1 - cosine over the pairs of a list; 0 of fewer than two items.

    Args:
        vectors_KD: Any norm but 0.
    """
    if len(vectors_KD) < 2:
        return 0.0
    unit_KD = vectors_KD / np.linalg.norm(vectors_KD, axis=1, keepdims=True)
    cosine_KK = unit_KD @ unit_KD.T
    num = len(unit_KD)
    return float(1 - (cosine_KK.sum() - np.trace(cosine_KK)) / (num * (num - 1)))


def cases(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """By metric, what each conversation came to; the metric is the mean of its cases.

    `turns_to_success` has the conversations that succeeded, `diversity` and `categories` those
    where something was shown, `turn_ms` the mean turn of those with a turn.
    """
    done = {o.case: o for o in sorted(outcomes, key=lambda o: o.case)}
    shown = {case: o for case, o in done.items() if o.shown}
    return {
        "session_success": {case: float(o.success) for case, o in done.items()},
        "turns_to_success": {case: float(o.turns) for case, o in done.items() if o.success},
        "taken": {case: float(o.taken) for case, o in done.items()},
        "taken_of_shown": {case: o.taken / o.shown for case, o in shown.items()},
        "diversity": {case: o.diversity for case, o in shown.items()},
        "categories": {case: o.categories for case, o in shown.items()},
        "cents": {case: o.cents for case, o in done.items()},
        "turn_ms": {case: float(np.mean(o.ms)) for case, o in done.items() if o.ms},
        "harm_rate": {case: float(bool(o.harms)) for case, o in done.items()},
        **{
            f"harm_{kind}": {case: float(kind in o.harms) for case, o in done.items()}
            for kind in HARMS
        },
        "error_rate": {case: float(bool(o.error)) for case, o in done.items()},
    }


def summary(outcomes: Sequence[Outcome]) -> dict[str, Interval]:
    """Every metric with its interval over conversations; `cents_per_success` is a ratio of sums.

    A metric without a case is left out.
    """
    found = {
        name: (of_share if name.startswith(_RARE) else of_mean)(np.array(list(values.values())))
        for name, values in cases(outcomes).items()
        if values
    }
    cents = np.array([o.cents for o in outcomes])
    success = np.array([float(o.success) for o in outcomes])
    if success.any():
        found["cents_per_success"] = of_ratio(cents, success)
    return found


def compare(ours: Cases, theirs: Cases) -> dict[str, Interval]:
    """Our mean minus theirs for every metric, on the conversations that both have."""
    gains = {}
    for name in ours:
        ours_N, theirs_N = aligned(ours[name], theirs.get(name, {}))
        if len(ours_N):
            gains[name] = of_paired_gain(ours_N, theirs_N)
    return gains


def of_share(happened_N: np.ndarray) -> Interval:
    """Share of cases with Wilson's interval: of no case in n, the upper end is about 4 / n.

    Drawing anew from cases without any harm would call harm impossible.

    Raises:
        ValueError: No case.
    """
    num = len(happened_N)
    if not num:
        raise ValueError("no case to take a share of")
    share = float(np.mean(happened_N))
    middle = (share + _Z**2 / (2 * num)) / (1 + _Z**2 / num)
    half = _Z * np.sqrt(share * (1 - share) / num + _Z**2 / (4 * num**2)) / (1 + _Z**2 / num)
    return Interval(share, max(0.0, float(middle - half)), min(1.0, float(middle + half)))


def of_ratio(top_N: np.ndarray, below_N: np.ndarray, *, seed: int = 0) -> Interval:
    """Sum of one figure by the sum of another, both drawn anew by conversation.

    Draws without anything below count as the dearest of the others.

    Raises:
        ValueError: Nothing below the line at all.
    """
    if not below_N.any():
        raise ValueError("no success to divide by")
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(top_N), size=(DRAWS, len(top_N)))
    tops, belows = top_N[rows].sum(1), below_N[rows].sum(1)
    ratios = np.where(belows > 0, tops / np.maximum(belows, 1e-12), np.nan)
    low, high = np.nanquantile(ratios, [0.025, 0.975])
    return Interval(float(top_N.sum() / below_N.sum()), float(low), float(high))


def widths(values_N: np.ndarray, sizes: Sequence[int], *, seed: int = 0) -> dict[int, float]:
    """Width of the 95 % interval of the mean by number of conversations, as far as there are any.

    The first conversations are taken for each size: measured, not computed from a formula.
    """
    return {
        size: (found := of_mean(values_N[:size], seed=seed)).high - found.low
        for size in sizes
        if size <= len(values_N)
    }
