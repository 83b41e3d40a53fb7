import numpy as np
import pytest

from tastemaker.evaluation.index import recall


def test_recall_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.1])
    assert recall(np.array([0.9, 0.8]), scores, 2) == 1
    assert recall(np.array([0.9, 0.7]), scores, 2) == 0.5
    assert recall(np.array([]), scores, 2) == 0


def test_an_item_as_good_as_the_last_counts_and_fewer_than_k_may_exist() -> None:
    assert recall(np.array([0.5, 0.5]), np.array([0.5, 0.5, 0.5]), 2) == 1
    assert recall(np.array([0.9, 0.2]), np.array([0.9, 0.2]), 10) == pytest.approx(1)
    assert recall(np.array([]), np.array([]), 10) == 1
