"""Does the simulator order recommenders as real held-out events do?

Simulator and recommenders share no fitted model. Users are halved: the tastes of the simulated
users are fitted on the training events of half A; the recommenders are fitted on half B's, with
methods of another kind. Both ways of judging then meet the same users of half A and the same
histories; held-out events are seen by neither.

Shape suffixes: N = items, R = recommenders, U = users.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.simulator_sets import RealSet
from tastemaker.core.progress import track
from tastemaker.evaluation.sequence import popularity_scores
from tastemaker.evaluation.simulated_behaviour import BehaviourConfig, draw_nature
from tastemaker.evaluation.simulated_sessions import Recommend, first_rows, play
from tastemaker.evaluation.simulated_tastes import (
    FactorsConfig,
    fit_factors,
    trait_scores,
    utilities,
)

NAMES = ("linear", "item_item", "little_data", "popularity", "shuffled")
USERS, LIST, WANTED, FIRST, SEED = 1000, 10, 3, 20, 29
BEST_FRAC = 0.01  # of the items are a user's favourites
_LITTLE_FRAC = 0.02  # of half B's users
_RIDGE = 300.0


@dataclass(frozen=True)
class Judged:
    """Outcomes of each recommender with each user, in the order of `NAMES`.

    Attributes:
        success_RU: By taste, of simulated sessions: what the simulator orders by.
        recall_RU: Of real held-out events, first 20.
    """

    success_RU: dict[str, np.ndarray]
    recall_RU: np.ndarray


@dataclass(frozen=True)
class Fitted:
    """All that is fitted, on training events alone: the same for every split.

    Attributes:
        recommenders: By name, of half B.
        users: Of half A, who are simulated and whose events are held out.
        tastes: Scores by kind of taste, (U, N), of half A.
    """

    recommenders: dict[str, Recommend]
    users: np.ndarray
    tastes: dict[str, np.ndarray]


def fit(real: RealSet) -> Fitted:
    """Halve the users and fit both sides."""
    rng = np.random.default_rng(SEED)
    mixed = rng.permutation(len(real.fit))
    half_a, half_b = mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]
    recommenders = _recommenders([real.fit[u] for u in half_b], real.num_items, rng)
    users = half_a[:USERS]
    tastes = _tastes(real, [real.fit[u] for u in half_a], len(users))
    return Fitted(recommenders, users, tastes)


def judge(fitted: Fitted, real: RealSet) -> Judged:
    """Judge all recommenders both ways on the same users.

    Args:
        fitted: Of the same set.
        real: The split whose histories and held-out events count.
    """
    shape = (len(NAMES), len(fitted.users))
    success = {taste: np.zeros(shape) for taste in fitted.tastes}
    recall_RU = np.zeros(shape)
    for place, user in enumerate(track(fitted.users, "sessions", len(fitted.users))):
        history = real.history[user]
        own = np.random.default_rng([SEED, int(user)])
        nature = draw_nature(BehaviourConfig(), real.num_items, own)
        for row, name in enumerate(NAMES):
            recommend = fitted.recommenders[name]
            recall_RU[row, place] = _recall(recommend, history, real.held[user])
            for taste, scores_UN in fitted.tastes.items():
                utility_N = utilities(scores_UN[place], history, best_frac=BEST_FRAC)
                success[taste][row, place] = play(
                    recommend, history, utility_N, nature, list_items=LIST, wanted=WANTED
                ).success
    return Judged(success, recall_RU)


def _tastes(real: RealSet, own: Sequence[np.ndarray], num_users: int) -> dict[str, np.ndarray]:
    """Scores of the first users of half A, (U, N), by kind of taste."""
    appeal_N = popularity_scores(own, real.num_items)
    user_UD, item_ND = fit_factors(own, real.num_items, FactorsConfig())
    found = {"factors": user_UD[:num_users] @ item_ND.T}
    if real.has_NA is not None:
        found["traits"] = trait_scores(own[:num_users], real.has_NA, appeal_N)
    return found


def _recall(recommend: Recommend, history: np.ndarray, held: np.ndarray) -> float:
    scores_N = recommend(history)
    met = np.zeros(len(scores_N), bool)
    met[history] = True
    first = first_rows(scores_N, met, FIRST)
    return float(np.isin(held, first).sum() / max(len(held), 1))


def _recommenders(
    users: Sequence[np.ndarray], num_items: int, rng: np.random.Generator
) -> dict[str, Recommend]:
    """Known good to known bad; equal scores are ordered by chance, the same for all."""
    jitter_N = rng.random(num_items).astype(np.float32) * 1e-6
    pairs_NN = _pairs(users, num_items)
    popular_N = (popularity_scores(users, num_items) / len(users)).astype(np.float32)
    cosine_NN = _cosine(pairs_NN)
    few = users[: max(1, round(_LITTLE_FRAC * len(users)))]
    little_NN = _cosine(_pairs(few, num_items))
    linear_NN = _linear(pairs_NN)
    to_other = rng.permutation(num_items)
    return {
        "linear": lambda history: linear_NN[history].sum(0) + jitter_N,
        "item_item": lambda history: cosine_NN[history].sum(0) + jitter_N,
        "little_data": lambda history: little_NN[history].sum(0) + jitter_N,
        "popularity": lambda history: popular_N + jitter_N,
        "shuffled": lambda history: cosine_NN[history].sum(0)[to_other] + jitter_N,
    }


def _pairs(users: Sequence[np.ndarray], num_items: int) -> np.ndarray:
    """How many users took both items, (N, N) float32."""
    pairs_NN = np.zeros((num_items, num_items), np.float32)
    for items in users:
        pairs_NN[np.ix_(items, items)] += 1
    return pairs_NN


def _cosine(pairs_NN: np.ndarray) -> np.ndarray:
    """Normalised co-visitation without its diagonal."""
    norm_N = np.sqrt(np.maximum(np.diag(pairs_NN), 1))
    out: np.ndarray = pairs_NN / norm_N[:, None] / norm_N
    np.fill_diagonal(out, 0)
    return out


def _linear(pairs_NN: np.ndarray) -> np.ndarray:
    """EASE (Steck 2019): the best linear item-to-item model without its diagonal."""
    gram_NN = pairs_NN.copy()
    gram_NN[np.diag_indices(len(gram_NN))] += _RIDGE
    inverse_NN = np.linalg.inv(gram_NN)
    out: np.ndarray = inverse_NN / -np.diag(inverse_NN)
    np.fill_diagonal(out, 0)
    return out
