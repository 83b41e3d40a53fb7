"""Baselines of next-item recommendation, and its metrics.

Shape suffixes: B = users, N = items.
"""

from collections.abc import Sequence

import numpy as np


def popularity_scores(users: Sequence[np.ndarray], num_items: int) -> np.ndarray:
    """Positive events of each item over all users, (N,) float."""
    counts = np.zeros(num_items)
    for items in users:
        counts += np.bincount(items, minlength=num_items)
    return counts


def covisitation(users: Sequence[np.ndarray], num_items: int) -> np.ndarray:
    """Cosine-normalised counts of pairs of items that one user liked, (N, N), zero diagonal."""
    seen = np.zeros((len(users), num_items), np.float32)
    for row, items in enumerate(users):
        seen[row, items] = 1
    pairs = seen.T @ seen
    norm = np.sqrt(np.maximum(np.diag(pairs), 1))
    pairs = pairs / norm[:, None] / norm[None]
    np.fill_diagonal(pairs, 0)
    return pairs


def covisitation_scores(
    pairs_NN: np.ndarray, histories: Sequence[np.ndarray], *, recent: int = 20, decay: float = 0.9
) -> np.ndarray:
    """Sum of the pairs of each user's last items, the newest weighing most, (B, N)."""
    out = np.zeros((len(histories), len(pairs_NN)), np.float32)
    for row, items in enumerate(histories):
        last = items[-recent:][::-1]
        out[row] = (decay ** np.arange(len(last))) @ pairs_NN[last]
    return out


def ranks(scores_BN: np.ndarray, targets_B: np.ndarray, seen: Sequence[np.ndarray]) -> np.ndarray:
    """Rank of each target among the items that the user has not met, 0 = first; ties count half.

    Args:
        scores_BN: Higher is better.
        targets_B: Row of the true next item; ranked even where the user has met it.
        seen: Rows that each user has met: left out of the ranking.

    Returns:
        (B,) float.
    """
    out = np.zeros(len(targets_B))
    for row, (target, met) in enumerate(zip(targets_B, seen, strict=True)):
        scores = scores_BN[row].astype(np.float64)
        own = scores[target]
        scores[met] = -np.inf
        scores[target] = -np.inf
        out[row] = (scores > own).sum() + 0.5 * (scores == own).sum()
    return out


def hit_rate(ranks_B: np.ndarray, k: int) -> float:
    """Share of targets among the first k."""
    return float((ranks_B < k).mean())


def ndcgs(ranks_B: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k of each user with one relevant item: 1 / log2(rank + 2) within the first k."""
    return np.where(ranks_B < k, 1 / np.log2(ranks_B + 2), 0)


def first_k_mass(logits_BN: np.ndarray, seen: Sequence[np.ndarray], k: int) -> np.ndarray:
    """Probability that a softmax over the items not met gives to its first k, (B,)."""
    out = np.zeros(len(logits_BN))
    for row, met in enumerate(seen):
        logits = logits_BN[row].astype(np.float64)
        logits[met] = -np.inf
        weights = np.sort(np.exp(logits - logits.max()))[::-1]
        out[row] = weights[:k].sum() / weights.sum()
    return out


def reliability(
    given_B: np.ndarray, happened_B: np.ndarray, *, groups: int = 5
) -> list[tuple[float, float]]:
    """Mean probability given and share that happened, in groups of equal size, ascending."""
    order = np.argsort(given_B, kind="stable")
    parts = [part for part in np.array_split(order, groups) if len(part)]
    return [(float(given_B[part].mean()), float(happened_B[part].mean())) for part in parts]
