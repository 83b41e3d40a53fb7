"""Retrieval metrics of each query: pure functions of scores and relevance; a mean is a figure.

Shape suffixes: Q = queries, N = candidates, K = nearest neighbours.
"""

import numpy as np


def first_hit_ranks(scores_QN: np.ndarray, relevant_QN: np.ndarray) -> np.ndarray:
    """Rank of each query's best relevant candidate, 0 = first.

    A candidate that is not relevant and scores the same counts half, so that a constant score
    gives no advantage whatever the order of the candidates.

    Args:
        scores_QN: Higher is better; -inf leaves a candidate out.
        relevant_QN: Bool; at least one a row.

    Returns:
        (Q,) float64.

    Raises:
        ValueError: The shapes differ, or a query has no relevant candidate.
    """
    _check(scores_QN, relevant_QN)
    best_Q1 = np.where(relevant_QN, scores_QN, -np.inf).max(1, keepdims=True)
    above_Q = ((scores_QN > best_Q1) & ~relevant_QN).sum(1)
    level_Q = ((scores_QN == best_Q1) & ~relevant_QN).sum(1)
    return np.asarray(above_Q + 0.5 * level_Q)


def hits_at(ranks_Q: np.ndarray, k: int) -> np.ndarray:
    """1 where a query's rank (0 = first) is within the first k; the mean is R@k of single hits."""
    return np.asarray(ranks_Q < k, np.float64)


def reciprocal_ranks(ranks_Q: np.ndarray) -> np.ndarray:
    """1 / (rank + 1) of each query; the mean is MRR."""
    return np.asarray(1 / (ranks_Q + 1))


def precisions_at(scores_QN: np.ndarray, relevant_QN: np.ndarray, k: int) -> np.ndarray:
    """Share of each query's first k candidates that are relevant, (Q,)."""
    _check(scores_QN, relevant_QN)
    top_QK = np.argsort(-scores_QN, axis=1, kind="stable")[:, :k]
    return np.asarray(np.take_along_axis(relevant_QN, top_QK, 1).mean(1))


def ndcgs_at(scores_QN: np.ndarray, relevant_QN: np.ndarray, k: int) -> np.ndarray:
    """nDCG@k, (Q,), with gain 1 for each relevant candidate and discount 1 / log2(rank + 2)."""
    _check(scores_QN, relevant_QN)
    top_QK = np.argsort(-scores_QN, axis=1, kind="stable")[:, :k]
    discount_K = 1 / np.log2(np.arange(top_QK.shape[1]) + 2)
    found_Q = np.take_along_axis(relevant_QN, top_QK, 1) @ discount_K
    ideal_Q = np.cumsum(discount_K)[np.minimum(relevant_QN.sum(1), len(discount_K)) - 1]
    return np.asarray(found_Q / ideal_Q)


def knn_hits(
    known_ND: np.ndarray, labels_N: np.ndarray, vectors_QD: np.ndarray, truth_Q: np.ndarray, k: int
) -> np.ndarray:
    """Where the k most similar known vectors of a query vote for its true label, (Q,) bool.

    Args:
        known_ND: Unit vectors with labels.
        labels_N: Their labels.
        vectors_QD: Unit vectors to label.
        truth_Q: Their true labels.
        k: Neighbours, >= 1; of equal votes the nearer wins.
    """
    names, number_N = np.unique(labels_N, return_inverse=True)
    similar_QN = vectors_QD @ known_ND.T
    top_QK = np.argsort(-similar_QN, axis=1, kind="stable")[:, :k]
    votes = np.zeros((len(vectors_QD), len(names)))
    for column in top_QK.T:
        rows = np.arange(len(votes))
        votes[rows, number_N[column]] += 1 + similar_QN[rows, column] * 1e-3
    return np.asarray(names[votes.argmax(1)] == truth_Q)


def _check(scores_QN: np.ndarray, relevant_QN: np.ndarray) -> None:
    if scores_QN.shape != relevant_QN.shape:
        raise ValueError(f"scores {scores_QN.shape} and relevance {relevant_QN.shape} differ")
    if not relevant_QN.any(1).all():
        raise ValueError("a query has no relevant candidate: leave it out of the metric")
