"""Orders: by two scores at once, by how often items lead to an action, by variety.

Shape suffixes: N = items, D = width of the space.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from tastemaker.data.dataset import Dataset

Ranked = list[tuple[str, float]]  # (item id, score), best first

# Impressions that the whole catalogue's rate counts for beside an item's own.
_PRIOR_IMPRESSIONS = 20.0
_OUTCOME_WEIGHT = 0.5  # of an item's rate beside the user's own taste, in standard deviations


def rank_by_text_and_taste(
    fitting: Sequence[tuple[str, float]], taste: Mapping[str, float]
) -> Ranked:
    """Order what fits a text by text and by taste, each counted in standard deviations.

    Args:
        fitting: (item id, similarity to the text).
        taste: Recommender score by item id; an item without one counts as the least liked.

    Returns:
        (item id, combined score), best first; equal ones keep their order.
    """
    if not fitting:
        return []
    least = min(taste.values(), default=0.0)
    liked = np.array([taste.get(item_id, least) for item_id, _ in fitting], np.float64)
    combined_N = _standard(_scores(fitting)) + _standard(liked)
    return _sorted(fitting, combined_N)


def rank_by_outcome(candidates: Sequence[tuple[str, float]], rates: Mapping[str, float]) -> Ranked:
    """Order candidates by taste and by how often they lead to an action.

    Args:
        candidates: (item id, recommender score).
        rates: Of the action an impression, by item id, > 0; an item without one counts as the
            mean of the others.

    Returns:
        (item id, combined score), best first; equal ones keep their order.
    """
    if not candidates or not rates:
        return list(candidates)
    mean = float(np.mean(list(rates.values())))
    rate_N = np.log([rates.get(item_id, mean) for item_id, _ in candidates])
    combined_N = _standard(_scores(candidates)) + _OUTCOME_WEIGHT * _standard(rate_N)
    return _sorted(candidates, combined_N)


def diversified(
    ranked: Sequence[tuple[str, float]], vectors_ND: np.ndarray, k: int, *, relevance: float
) -> Ranked:
    """Maximal marginal relevance: each next item is wanted and unlike those chosen before.

    Args:
        ranked: (item id, score), best first.
        vectors_ND: Their unit vectors, in the same order.
        k: How many to choose, >= 1.
        relevance: Weight of the score, which is spread over 0..1, against the likeness to the
            nearest chosen item; 0..1, and 1 keeps the order.

    Returns:
        The chosen ones, in the order of choice, with their scores.
    """
    if not ranked:
        return []
    wanted_N = _scores(ranked)
    span = float(np.ptp(wanted_N))
    wanted_N = (wanted_N - wanted_N.min()) / span if span > 1e-12 else np.zeros_like(wanted_N)
    nearest_N = np.zeros(len(ranked))
    chosen: list[int] = []
    for _ in range(min(k, len(ranked))):
        gain_N = relevance * wanted_N - (1 - relevance) * nearest_N
        gain_N[chosen] = -np.inf
        chosen.append(int(np.argmax(gain_N)))
        nearest_N = np.maximum(nearest_N, vectors_ND @ vectors_ND[chosen[-1]])
    return [ranked[i] for i in chosen]


def spread_over(
    ranked: Sequence[tuple[str, float]], kinds: Mapping[str, str], k: int, *, per_kind: int
) -> Ranked:
    """The k best with at most `per_kind` of a kind, filled up with the best of the rest.

    Args:
        ranked: (item id, score), best first.
        kinds: Kind by item id, for example its category.
        k: How many, >= 1.
        per_kind: Of one kind, >= 1.
    """
    taken: list[tuple[str, float]] = []
    rest: list[tuple[str, float]] = []
    counts: dict[str, int] = {}
    for row in ranked:
        kind = kinds[row[0]]
        counts[kind] = counts.get(kind, 0) + 1
        (taken if counts[kind] <= per_kind else rest).append(row)
    return [*taken, *rest][:k]


def outcome_rates(dataset: Dataset) -> dict[str, dict[str, float]]:
    """How often an impression of an item leads to each action, smoothed.

    An item's rate is drawn towards the whole catalogue's, as if it had been shown
    `_PRIOR_IMPRESSIONS` times more with just that rate.

    Args:
        dataset: With or without events.

    Returns:
        Rate by item id, by action; empty without impressions.
    """
    if "events" not in dataset.tables:
        return {}
    table = dataset.read("events", ["item_id", "action"])
    counts: dict[str, dict[str, int]] = {}
    for row in table.group_by(["item_id", "action"]).aggregate([([], "count_all")]).to_pylist():
        counts.setdefault(row["action"], {})[row["item_id"]] = row["count_all"]
    shown = counts.pop("impression", {})
    total = sum(shown.values())
    return {
        action: {
            item_id: (done.get(item_id, 0) + _PRIOR_IMPRESSIONS * overall)
            / (max(times, done.get(item_id, 0)) + _PRIOR_IMPRESSIONS)
            for item_id, times in shown.items()
        }
        for action, done in counts.items()
        if (overall := sum(done.values()) / max(total, 1)) > 0 and total
    }


def _scores(rows: Sequence[tuple[str, float]]) -> np.ndarray:
    return np.array([score for _, score in rows], np.float64)


def _sorted(rows: Sequence[tuple[str, float]], scores_N: np.ndarray) -> Ranked:
    order = np.argsort(-scores_N, kind="stable")
    return [(rows[i][0], float(scores_N[i])) for i in order]


def _standard(values: np.ndarray) -> np.ndarray:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros_like(values)
