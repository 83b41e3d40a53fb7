"""Simulated sessions with a plain recommender: does it please users with fitted tastes?

The same behaviour as in whole conversations, without words: a turn is a list, what was taken is
known in the next turn, and the user leaves with enough or without patience. Used to see whether
the simulator orders recommenders as real held-out events do.

Shape suffixes: N = items, R = recommenders, U = users, P = pairs of recommenders.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tastemaker.evaluation.simulated_behaviour import Nature

Recommend = Callable[[np.ndarray], np.ndarray]  # rows of the history -> (N,) scores


@dataclass(frozen=True)
class Session:
    """What one session came to."""

    success: bool
    turns: int
    shown: int
    taken: int


def play(
    recommend: Recommend,
    history: np.ndarray,
    utility_N: np.ndarray,
    nature: Nature,
    *,
    list_items: int,
    wanted: int,
) -> Session:
    """One user's session.

    Args:
        recommend: Scores of all items for a history.
        history: Rows that the user took before, oldest first.
        utility_N: What each item is to the user.
        nature: Attention, opinions, patience.
        list_items: Of a turn.
        wanted: Items to take before the user has enough.
    """
    takes_N = nature.takes(utility_N)
    met = np.zeros(len(utility_N), bool)
    met[history] = True
    shown = taken = barren = turn = 0
    for turn in range(len(nature.looks_T)):
        rows = first_rows(recommend(history), met, list_items)
        met[rows] = True
        shown += len(rows)
        found = [row for row in nature.looks_at(rows.tolist(), turn) if takes_N[row]]
        taken += len(found)
        history = np.concatenate([history, np.array(found, int)])
        barren = 0 if found else barren + 1
        if taken >= wanted or barren >= nature.patience:
            break
    return Session(taken >= wanted, turn + 1, shown, taken)


def first_rows(scores_N: np.ndarray, met_N: np.ndarray, num: int) -> np.ndarray:
    """The best rows that the user has not met, best first."""
    scores_N = np.where(met_N, -np.inf, scores_N)
    top = np.argpartition(-scores_N, num)[:num]
    rows: np.ndarray = top[np.argsort(-scores_N[top], kind="stable")]
    return rows


@dataclass(frozen=True)
class Agreement:
    """How far two ways of judging order the same recommenders alike.

    Attributes:
        frac: Share of the pairs that both order alike.
        low, high: 95 % interval over users.
        pairs: How many there are.
        decided: Pairs whose order by real events the luck of the users does not explain.
        decided_frac: Share of those that are ordered alike.
    """

    frac: float
    low: float
    high: float
    pairs: int
    decided: int
    decided_frac: float


def agreement(
    simulated_RU: np.ndarray, real_RU: np.ndarray, *, draws: int = 2000, seed: int = 0
) -> tuple[Agreement, np.ndarray]:
    """Compare the orders of recommenders by simulated sessions and by real events.

    Args:
        simulated_RU: Outcome of each recommender's session with each user.
        real_RU: Outcome on the same users' real held-out events.
        draws: Of the bootstrap over users.
        seed: Of these.

    Returns:
        The agreement, and the share of agreeing pairs by draw, (draws,).
    """
    pairs = [(i, j) for i in range(len(real_RU)) for j in range(i)]
    first, second = np.array(pairs).T
    rng = np.random.default_rng(seed)
    num_users = real_RU.shape[1]
    alike = np.zeros(draws)
    real_gain_DP = np.zeros((draws, len(pairs)))
    for draw in range(draws):
        weight_U = np.bincount(rng.integers(num_users, size=num_users), minlength=num_users)
        sim_R, real_R = simulated_RU @ weight_U, real_RU @ weight_U
        real_gain_DP[draw] = real_R[first] - real_R[second]
        alike[draw] = (np.sign(sim_R[first] - sim_R[second]) == np.sign(real_gain_DP[draw])).mean()
    gain_P = real_RU.mean(1)[first] - real_RU.mean(1)[second]
    own_P = simulated_RU.mean(1)[first] - simulated_RU.mean(1)[second]
    same_P = np.sign(own_P) == np.sign(gain_P)
    low_P, high_P = np.quantile(real_gain_DP, [0.025, 0.975], axis=0)
    decided_P = (low_P > 0) | (high_P < 0)
    low, high = np.quantile(alike, [0.025, 0.975])
    decided_frac = float(same_P[decided_P].mean()) if decided_P.any() else 0.0
    found = Agreement(
        frac=float(same_P.mean()),
        low=float(low),
        high=float(high),
        pairs=len(pairs),
        decided=int(decided_P.sum()),
        decided_frac=decided_frac,
    )
    return found, alike
