"""Item signals by day: popularity by window and quality, as the whole catalogue's users act."""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa

from tastemaker.features.signals import WINDOWS_MS

DAY_MS = 86_400_000
POSITIVE = ("closeup", "save", "click")
_PRIOR_FRAC, _PRIOR_WEIGHT = 0.2, 20.0  # of an item that few have seen: share, impressions
ITEM_SIGNALS = [
    *(pa.field(f"positives_{window}", pa.int64()) for window in WINDOWS_MS),
    pa.field("quality", pa.float64()),
    pa.field("first_seen_ms", pa.int64()),
]


def item_signals(events: Iterable[tuple[str, str, int]], *, now_ms: int) -> Iterator[tuple]:
    """Rows of the item table: one at each midnight (UTC) at which something has changed.

    Args:
        events: (item_id, action, time_ms), impressions too, any order.
        now_ms: No row is younger.

    Yields:
        item_id, time_ms, positives by window, quality, first_seen_ms; by item and time.
    """
    by_item: dict[str, list[tuple[int, str]]] = {}
    for item, action, time_ms in events:
        by_item.setdefault(item, []).append((time_ms, action))
    lengths = [length // DAY_MS for length in WINDOWS_MS.values()]
    for item in sorted(by_item):
        own = by_item[item]
        first_ms = min(own)[0]
        day_0 = first_ms // DAY_MS
        num_days = min(max(own)[0] // DAY_MS + max(lengths), now_ms // DAY_MS - 1) - day_0 + 1
        if num_days < 1:
            continue
        positives, seen = np.zeros((2, num_days), np.int64)
        for time_ms, action in own:
            if (day := time_ms // DAY_MS - day_0) < num_days:
                positives[day] += action in POSITIVE
                seen[day] += action == "impression"
        total = np.concatenate([[0], np.cumsum(positives)])
        ends = np.arange(1, num_days + 1)
        windows = [total[ends] - total[np.maximum(ends - length, 0)] for length in lengths]
        quality = smoothed(total[1:], np.cumsum(seen))
        before: tuple | None = None
        for place in range(num_days):
            values = (*(int(window[place]) for window in windows), float(quality[place]))
            if values != before:
                yield item, int(day_0 + place + 1) * DAY_MS, *values, first_ms
                before = values


def smoothed(positives: np.ndarray, impressions: np.ndarray) -> np.ndarray:
    """Share of impressions that somebody acted on, drawn towards 0.2 where few were made.

    Args:
        positives: Counts, >= 0.
        impressions: Counts, >= 0; below `positives` where some were not recorded.

    Returns:
        Shares in [0, 1].
    """
    shown = np.maximum(impressions, positives) + _PRIOR_WEIGHT
    return (positives + _PRIOR_FRAC * _PRIOR_WEIGHT) / shown
