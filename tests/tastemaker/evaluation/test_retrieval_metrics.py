import math

import numpy as np
import pytest

from tastemaker.evaluation import retrieval_metrics as m

SCORES = np.array([[0.9, 0.5, 0.1], [0.2, 0.8, 0.4]])
RELEVANT = np.array([[False, True, False], [False, True, True]])


def test_ranks_and_recall_by_hand() -> None:
    ranks = m.first_hit_ranks(SCORES, RELEVANT)
    assert ranks.tolist() == [1, 0]
    assert m.hits_at(ranks, 1).tolist() == [0, 1]
    assert m.hits_at(ranks, 2).tolist() == [1, 1]
    assert m.reciprocal_ranks(ranks).tolist() == [1 / 2, 1]


def test_ndcg_and_precision_by_hand() -> None:
    second = 1 / math.log2(3)
    assert m.ndcgs_at(SCORES, RELEVANT, 3) == pytest.approx([second, 1])
    assert m.precisions_at(SCORES, RELEVANT, 2) == pytest.approx([1 / 2, 1])


def test_a_constant_score_is_no_better_than_chance_in_any_order() -> None:
    constant = np.zeros((1, 101))
    for place in (0, 50, 100):
        relevant = np.arange(101)[None] == place
        assert m.first_hit_ranks(constant, relevant).tolist() == [50]


def test_order_of_candidates_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores, relevant = rng.normal(size=(5, 20)), rng.random((5, 20)) < 0.3
    relevant[:, 0] = True
    order = rng.permutation(20)
    straight = m.first_hit_ranks(scores, relevant)
    assert np.array_equal(straight, m.first_hit_ranks(scores[:, order], relevant[:, order]))
    assert m.ndcgs_at(scores, relevant, 10) == pytest.approx(
        m.ndcgs_at(scores[:, order], relevant[:, order], 10)
    )


def test_knn_votes() -> None:
    known = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    labels = np.array(["a", "a", "b"])
    queries = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert m.knn_hits(known, labels, queries, np.array(["a", "b"]), k=1).tolist() == [True, True]
    # of three votes two are for a
    assert m.knn_hits(known, labels, queries, np.array(["a", "b"]), k=3).tolist() == [True, False]


def test_a_query_without_a_relevant_candidate_is_refused() -> None:
    with pytest.raises(ValueError, match="no relevant candidate"):
        m.first_hit_ranks(SCORES, RELEVANT & False)
    with pytest.raises(ValueError, match="differ"):
        m.ndcgs_at(SCORES, RELEVANT[:, :2], 3)
