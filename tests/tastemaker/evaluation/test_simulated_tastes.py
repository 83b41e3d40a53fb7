"""Fitted tastes find planted ones, and an order is found again."""

import numpy as np
import pytest

from tastemaker.evaluation.simulated_tastes import (
    FactorsConfig,
    fit_factors,
    trait_scores,
    utilities,
)


def two_groups(rng: np.random.Generator) -> list[np.ndarray]:
    """60 users: the even ones take items 0 to 19, the odd ones 20 to 39."""
    return [
        np.sort(rng.choice(np.arange(20) + 20 * (user % 2), 8, replace=False)) for user in range(60)
    ]


def test_factors_like_what_the_group_takes() -> None:
    users = two_groups(np.random.default_rng(0))
    user_UD, item_ND = fit_factors(users, 40, FactorsConfig(width=2))
    scores_UN = user_UD @ item_ND.T
    for user, items in enumerate(users):
        unmet = np.setdiff1d(np.arange(40), items)
        own = unmet[(unmet >= 20) == bool(user % 2)]
        other = unmet[(unmet >= 20) != bool(user % 2)]
        assert scores_UN[user, own].min() > scores_UN[user, other].max()


def test_least_squares_is_at_its_optimum() -> None:
    users = two_groups(np.random.default_rng(1))
    config = FactorsConfig(width=3, rounds=2)
    user_UD, item_ND = fit_factors(users, 40, config)

    def loss(vector_D: np.ndarray, taken: np.ndarray) -> float:
        scores_N = item_ND @ vector_D
        weight = config.regularisation * (len(taken) + config.unseen_weight * 40)
        fit = ((scores_N[taken] - 1) ** 2).sum()
        return float(
            fit + config.unseen_weight * (scores_N**2).sum() + weight * vector_D @ vector_D
        )

    best = loss(user_UD[0], users[0])
    for step in np.eye(3):
        assert loss(user_UD[0] + 0.01 * step, users[0]) > best
        assert loss(user_UD[0] - 0.01 * step, users[0]) > best


def test_traits_like_items_with_the_users_attributes() -> None:
    has_NA = np.eye(2)[np.arange(40) // 20]
    users = two_groups(np.random.default_rng(2))
    scores_UN = trait_scores(users, has_NA, np.zeros(40))
    assert (scores_UN[0, :20] > scores_UN[0, 20:]).all()
    assert (scores_UN[1, :20] < scores_UN[1, 20:]).all()


def test_appeal_tells_items_of_the_same_traits_apart() -> None:
    appeal_N = np.zeros(40)
    appeal_N[5] = 9
    has_NA = np.ones((40, 1))
    users = two_groups(np.random.default_rng(3))
    scores_UN = trait_scores(users, has_NA, appeal_N, appeal_weight=0.5)
    assert scores_UN[0, 5] - scores_UN[0, 6] == pytest.approx(0.5 * np.log(10))


def test_utilities_are_0_for_a_usual_and_1_for_a_favourite_item_and_never_for_a_known_one() -> None:
    scores_N = np.arange(101.0)
    out = utilities(scores_N, np.array([100]), best_frac=0.1)
    assert out[100] == -np.inf
    assert np.median(out[:100]) == pytest.approx(0)
    assert (out[:100] >= 1).mean() == pytest.approx(0.1)
    np.testing.assert_allclose(out, utilities(3 * scores_N + 7, np.array([100]), best_frac=0.1))
