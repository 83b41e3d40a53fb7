"""Latent tastes fitted on real events: what the calibration's simulated users like.

Two kinds, each fitted on training events of the simulator's own users alone:

- factors: weighted matrix factorisation of implicit feedback (Hu, Koren and Volinsky 2008), with
  the regularisation by frequency of Rendle et al. 2021;
- traits: how much more often than others a user takes items of each attribute (a genre, a
  brand), on top of how often the item is taken at all: the kind of taste that the users of whole
  conversations have.

Shape suffixes: U = users, N = items, D = factors, A = attributes.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from tastemaker.core.config import Config

_PRIOR = 20.0  # events of an average user that a user's own shares are mixed with


class FactorsConfig(Config):
    """Matrix factorisation."""

    width: int = Field(default=32, ge=1)  # D
    rounds: int = Field(default=6, ge=1)
    unseen_weight: float = Field(default=0.01, gt=0)  # of a pair without an event; with one: 1
    regularisation: float = Field(default=0.01, gt=0)
    seed: int = 5


def fit_factors(
    users: Sequence[np.ndarray], num_items: int, config: FactorsConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Alternating least squares.

    Args:
        users: Rows of each user's items, each row once.
        num_items: N.
        config: Width, rounds and weights.

    Returns:
        (U, D) and (N, D); their product is high where a user takes an item.
    """
    rng = np.random.default_rng(config.seed)
    item_ND = rng.normal(0, 0.1 / np.sqrt(config.width), (num_items, config.width))
    takers = _takers(users, num_items)
    user_UD = np.zeros((len(users), config.width))
    for _ in range(config.rounds):
        user_UD = _solve(users, item_ND, config)
        item_ND = _solve(takers, user_UD, config)
    return _solve(users, item_ND, config), item_ND


def trait_scores(
    users: Sequence[np.ndarray],
    has_NA: np.ndarray,
    appeal_N: np.ndarray,
    *,
    appeal_weight: float = 0.25,
) -> np.ndarray:
    """Log odds of a user's attributes, mean over an item's own, on top of its appeal, (U, N).

    Naive Bayes: how likely an item is taken by anybody, times how much likelier this user takes
    what has its attributes.

    Args:
        users: Rows of each user's items.
        has_NA: 1 where an item has an attribute.
        appeal_N: Events of each item over all of the simulator's users.
        appeal_weight: Of its logarithm; 1 is naive Bayes.
    """
    each = has_NA / np.maximum(has_NA.sum(1, keepdims=True), 1)  # an item counts once
    counts_UA = np.stack([each[items].sum(0) for items in users])
    usual_A = counts_UA.sum(0) + 1e-3
    usual_A = usual_A / usual_A.sum()
    own_UA = (counts_UA + _PRIOR * usual_A) / (counts_UA.sum(1, keepdims=True) + _PRIOR)
    scores: np.ndarray = np.log(own_UA / usual_A) @ each.T
    scores += appeal_weight * np.log(appeal_N + 1)
    return scores


def utilities(scores_N: np.ndarray, met: np.ndarray, *, best_frac: float) -> np.ndarray:
    """A user's scores as fractions of what they want: 0 for a usual item, 1 for a favourite.

    Args:
        scores_N: Of a fitted taste, any scale.
        met: Rows that the user knows: never wanted again.
        best_frac: Share of the other items that are favourites.

    Returns:
        (N,) float; -inf where met.
    """
    open_N = np.ones(len(scores_N), bool)
    open_N[met] = False
    usual, best = np.quantile(scores_N[open_N], [0.5, 1 - best_frac])
    out = (scores_N - usual) / max(float(best - usual), 1e-9)
    return np.where(open_N, out, -np.inf)


def _takers(users: Sequence[np.ndarray], num_items: int) -> list[np.ndarray]:
    """By item, the users who took it."""
    rows = np.concatenate([np.full(len(items), user) for user, items in enumerate(users)])
    items_E = np.concatenate(list(users))
    order = np.argsort(items_E, kind="stable")
    ends = np.cumsum(np.bincount(items_E, minlength=num_items))[:-1]
    return np.split(rows[order], ends)


def _solve(taken: Sequence[np.ndarray], other_MD: np.ndarray, config: FactorsConfig) -> np.ndarray:
    """Best factors of one side, the other's being fixed."""
    width = other_MD.shape[1]
    shared_DD = config.unseen_weight * other_MD.T @ other_MD
    out = np.zeros((len(taken), width))
    for row, own in enumerate(taken):
        near_KD = other_MD[own]
        weight = config.regularisation * (len(own) + config.unseen_weight * len(other_MD))
        left_DD = shared_DD + near_KD.T @ near_KD + weight * np.eye(width)
        out[row] = np.linalg.solve(left_DD, near_KD.sum(0))
    return out
