"""Users' events as arrays: what the model reads, learns from and is tested on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tastemaker.core.errors import DataError
from tastemaker.data.records import ACTIONS

READ = ("closeup", "save", "click", "hide")  # impressions are exposure, not taste
POSITIVE = ("closeup", "save", "click")


@dataclass(frozen=True)
class History:
    """One user's events in the order of time.

    Attributes:
        user_id: Whose.
        items: Row of each event's item in the items table, int64 (events,).
        actions: Code of each event's action, its place in `records.ACTIONS`, int64 (events,).
    """

    user_id: str
    items: np.ndarray
    actions: np.ndarray

    def positives(self) -> np.ndarray:
        """Positions of positive events, ascending."""
        codes = [ACTIONS.index(action) for action in POSITIVE]
        return np.flatnonzero(np.isin(self.actions, codes))

    def before(self, position: int) -> "History":
        """The events before a position."""
        return History(self.user_id, self.items[:position], self.actions[:position])

    def held_out(self, back: int) -> tuple["History", int] | None:
        """Leave-one-out: the `back`-th last positive event as target, and all before it.

        Args:
            back: 1 for test, 2 for validation.

        Returns:
            (history before the target, the target's item row); None for too short a history.
        """
        positions = self.positives()
        if len(positions) < back + 2:
            return None
        at = int(positions[-back])
        return self.before(at), int(self.items[at])


def histories(events: pa.Table, item_ids: Sequence[str]) -> list[History]:
    """Group an events table by user, sorted by user id.

    Raises:
        DataError: An event of an item that the items table does not hold.
    """
    row_of = {item_id: row for row, item_id in enumerate(item_ids)}
    kept = events.sort_by([("user_id", "ascending"), ("time", "ascending")])
    columns = kept.select(["user_id", "item_id", "action"]).to_pydict()
    by_user: dict[str, list[tuple[int, int]]] = {}
    for user, item, action in zip(*columns.values(), strict=True):
        if action not in READ:
            continue
        if item not in row_of:
            raise DataError(f"event of user {user!r} names item {item!r}, which is not in items")
        by_user.setdefault(user, []).append((row_of[item], ACTIONS.index(action)))
    return [
        History(user, *(np.array(column, np.int64) for column in zip(*pairs, strict=True)))
        for user, pairs in by_user.items()
    ]


def from_events(
    user_id: str, events: Sequence[Mapping[str, str]], row_of: Mapping[str, int]
) -> History:
    """A history from loose events, `{"item_id", "action"}` each, oldest first.

    Raises:
        DataError: An unknown item or action; the message names it.
    """
    items, actions = [], []
    for event in events:
        item, action = event.get("item_id", ""), event.get("action", "")
        if item not in row_of:
            raise DataError(f"unknown item {item!r} in the events of user {user_id!r}")
        if action not in ACTIONS:
            raise DataError(f"unknown action {action!r}; the actions are: {', '.join(ACTIONS)}")
        if action in READ:
            items.append(row_of[item])
            actions.append(ACTIONS.index(action))
    return History(user_id, np.array(items, np.int64), np.array(actions, np.int64))
