"""On-demand transformations: columns of stored features in, columns of signals out.

Feast calls them with one row when a turn reads and with a whole table when a training set is
made. (Its singleton form is faster by microseconds and cannot do the second.)
"""

from typing import Any

from tastemaker.features import signals

_DAY_MS = 86_400_000

Columns = dict[str, list[Any]]


def user_signals(columns: Columns) -> Columns:
    """Counts, shares and recency of each row's user at its `now_ms`."""
    names = ("user_times", "user_actions", "user_categories", "user_styles", "now_ms")
    return _transposed(
        [user_row(*_lists(row)) for row in zip(*(columns[name] for name in names), strict=True)]
    )


def session_signals(columns: Columns) -> Columns:
    """Intent and recency of each row's session at its `now_ms`."""
    names = ("session_times", "session_actions", "session_categories", "now_ms")
    return _transposed(
        [session_row(*_lists(row)) for row in zip(*(columns[name] for name in names), strict=True)]
    )


def item_age(columns: Columns) -> Columns:
    """Days since each row's item was first seen, at its `now_ms`."""
    pairs = zip(columns["first_seen_ms"], columns["now_ms"], strict=True)
    ages = [None if seen is None else max(0.0, (now - seen) / _DAY_MS) for seen, now in pairs]
    return {"item_age_days": ages}


def user_row(
    times: list[int], actions: list[str], categories: list[str], styles: list[str], now_ms: int
) -> dict[str, Any]:
    """The signals of one user."""
    weights = signals.weights(times, actions)
    of_category, of_style = (signals.shares(values, weights) for values in (categories, styles))
    return {
        **signals.counts(times, actions, now_ms),
        "category_names": list(of_category),
        "category_shares": list(of_category.values()),
        "style_names": list(of_style),
        "style_shares": list(of_style.values()),
        "recency_s": signals.recency_s(times, now_ms),
    }


def session_row(
    times: list[int], actions: list[str], categories: list[str], now_ms: int
) -> dict[str, Any]:
    """The signals of one session."""
    return {
        "session_intent": signals.intent(categories, actions),
        "session_recency_s": signals.recency_s(times, now_ms),
    }


def _lists(row: tuple[Any, ...]) -> list[Any]:
    *stored, now_ms = row
    return [*([] if column is None else column for column in stored), now_ms]


def _transposed(rows: list[dict[str, Any]]) -> Columns:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
