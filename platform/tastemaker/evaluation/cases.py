"""Cases: what each single case of an evaluation came to, so that two bundles compare on them.

A metric is the mean of its cases. A case's id means the same for every bundle: a user, an item,
a board with one item hidden, a call of a dialogue.
"""

from collections.abc import Iterable, Mapping

import numpy as np

Outcomes = Mapping[str, float]  # by case id, in a fixed order
Cases = Mapping[str, Outcomes]  # by metric


def outcomes(ids: Iterable[str], values: np.ndarray) -> dict[str, float]:
    """One value a case.

    Args:
        ids: What each value is of; one that comes again is numbered (`a`, `a#2`).
        values: (cases,), a truth value counts 0 or 1.

    Returns:
        Value by id, in the order given.

    Raises:
        ValueError: Not one value an id.
    """
    found: dict[str, float] = {}
    count: dict[str, int] = {}
    for case, value in zip(ids, np.asarray(values, np.float64).tolist(), strict=True):
        count[case] = count.get(case, 0) + 1
        found[case if count[case] == 1 else f"{case}#{count[case]}"] = value
    return found


def mean(cases: Outcomes) -> float:
    """The metric that these cases make; 0 of none."""
    return float(np.mean(list(cases.values()))) if cases else 0.0


def aligned(ours: Outcomes, theirs: Outcomes) -> tuple[np.ndarray, np.ndarray]:
    """Values of the cases that both have, in one order."""
    both = [case for case in ours if case in theirs]
    return np.array([ours[case] for case in both]), np.array([theirs[case] for case in both])
