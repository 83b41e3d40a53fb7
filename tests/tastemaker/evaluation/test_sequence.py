import numpy as np
import pytest

from tastemaker.evaluation.sequence import (
    covisitation,
    covisitation_scores,
    first_k_mass,
    hit_rate,
    ndcgs,
    popularity_scores,
    ranks,
    reliability,
)


def test_ranks_by_hand() -> None:
    scores = np.array([[0.9, 0.5, 0.7, 0.1], [0.2, 0.2, 0.2, 0.2]])
    found = ranks(scores, np.array([1, 0]), [np.array([0]), np.array([], int)])
    assert found.tolist() == [1.0, 1.5]  # item 0 is met; three ties count half


def test_metrics_by_hand() -> None:
    at = np.array([0, 1, 9, 10])
    assert hit_rate(at, 10) == 0.75
    assert ndcgs(at, 10) == pytest.approx([1, 1 / np.log2(3), 1 / np.log2(11), 0])


def test_popularity_and_covisitation_by_hand() -> None:
    users = [np.array([0, 1]), np.array([0, 1]), np.array([0, 2])]
    assert popularity_scores(users, 3).tolist() == [3, 2, 1]
    pairs = covisitation(users, 3)
    assert pairs[0, 1] == pytest.approx(2 / np.sqrt(3 * 2))
    assert pairs[0, 0] == 0
    scores = covisitation_scores(pairs, [np.array([2, 1])], decay=0.5)
    assert scores[0, 0] == pytest.approx(pairs[1, 0] + 0.5 * pairs[2, 0])


def test_mass_of_the_first_by_hand() -> None:
    logits = np.log([[1.0, 2.0, 4.0, 8.0], [1.0, 1.0, 1.0, 1.0]])
    found = first_k_mass(logits, [np.array([3]), np.array([], int)], 2)
    assert found == pytest.approx([6 / 7, 0.5])


def test_reliability_by_hand_and_ascending() -> None:
    given, happened = np.array([0.9, 0.1, 0.8, 0.3]), np.array([True, False, False, True])
    assert reliability(given, happened, groups=2) == [
        (pytest.approx(0.2), 0.5),
        (pytest.approx(0.85), 0.5),
    ]
    assert len(reliability(given[:3], happened[:3], groups=5)) == 3
