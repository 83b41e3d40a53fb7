"""How much of exact search an index finds.

Shape suffixes: N = items, K = found.
"""

import numpy as np

TIE = 1e-3  # of a cosine: below what float16 vectors tell apart


def recall(found_K: np.ndarray, scores_N: np.ndarray, k: int) -> float:
    """Share of the k best items that were found; an item as good as the k-th best counts.

    Args:
        found_K: Scores of what the index found, at most k of them.
        scores_N: Scores of all items that could have been found.
        k: How many were asked for, >= 1.

    Returns:
        0..1; 1 where nothing could be found and nothing was.
    """
    wanted = min(k, len(scores_N))
    if not wanted:
        return 1.0
    worst = np.sort(scores_N)[-wanted]
    return float((found_K[:wanted] >= worst - TIE).sum() / wanted)
