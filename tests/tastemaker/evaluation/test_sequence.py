import numpy as np
import pytest

from tastemaker.evaluation.sequence import (
    covisitation,
    covisitation_scores,
    hit_rate,
    ndcg,
    popularity_scores,
    ranks,
)


def test_ranks_by_hand() -> None:
    scores = np.array([[0.9, 0.5, 0.7, 0.1], [0.2, 0.2, 0.2, 0.2]])
    found = ranks(scores, np.array([1, 0]), [np.array([0]), np.array([], int)])
    assert found.tolist() == [1.0, 1.5]  # item 0 is met; three ties count half


def test_metrics_by_hand() -> None:
    at = np.array([0, 1, 9, 10])
    assert hit_rate(at, 10) == 0.75
    assert ndcg(at, 10) == pytest.approx((1 + 1 / np.log2(3) + 1 / np.log2(11)) / 4)


def test_popularity_and_covisitation_by_hand() -> None:
    users = [np.array([0, 1]), np.array([0, 1]), np.array([0, 2])]
    assert popularity_scores(users, 3).tolist() == [3, 2, 1]
    pairs = covisitation(users, 3)
    assert pairs[0, 1] == pytest.approx(2 / np.sqrt(3 * 2))
    assert pairs[0, 0] == 0
    scores = covisitation_scores(pairs, [np.array([2, 1])], decay=0.5)
    assert scores[0, 0] == pytest.approx(pairs[1, 0] + 0.5 * pairs[2, 0])
