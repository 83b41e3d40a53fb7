"""What turns did with a canary and without it, read from the operational database.

Read as plain columns: the tables' owner is the assistant, a sibling that jobs do not import.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Engine, column, inspect, select, table

from tastemaker.data.event_log import live_events
from tastemaker.promotion.judge import Sample, Silence

_TURNS = table(
    "turns",
    column("turn_id"),
    column("conversation_id"),
    column("time_ms"),
    column("record"),
)


@dataclass(frozen=True)
class Asked:
    """One request of a turn to the model: who answered (empty: nobody), ms, and whether well."""

    bundle: str
    ms: float
    ok: bool


@dataclass(frozen=True)
class Turn:
    """One turn that asked the model.

    Attributes:
        turn_id: Its id.
        session: Its conversation.
        time_ms: When it ended, ms since 1970 UTC.
        asked: Its requests to the model, in the order of their end.
        shown: Ids of the items that it showed.
        cents: What it cost.
    """

    turn_id: str
    session: str
    time_ms: int
    asked: tuple[Asked, ...]
    shown: tuple[str, ...]
    cents: float


def read_turns(engine: Engine, model: str, begin_ms: int, end_ms: int) -> list[Turn]:
    """Turns of `[begin_ms, end_ms)` that asked a model, in the order of time."""
    if not inspect(engine).has_table("turns"):
        return []
    own = _TURNS.c.time_ms
    rows = select(_TURNS).where(own >= begin_ms, own < end_ms).order_by(own, _TURNS.c.turn_id)
    with engine.connect() as connection:
        found = (_turn(dict(row), model) for row in connection.execute(rows).mappings())
        return [turn for turn in found if turn.asked]


def saves(engine: Engine, turns: Sequence[Turn]) -> dict[str, int]:
    """By turn, how many of its items were saved until the last of the turns ended.

    A save counts for the latest turn of its session that had shown the item before.
    """
    if not turns:
        return {}
    shown: dict[tuple[str, str], list[Turn]] = defaultdict(list)
    for turn in turns:
        for item in turn.shown:
            shown[turn.session, item].append(turn)
    own = live_events.c
    rows = select(own.session_id, own.item_id, own.time_ms).where(
        own.action == "save", own.time_ms >= turns[0].time_ms, own.time_ms <= turns[-1].time_ms
    )
    saved: set[tuple[str, str]] = set()
    with engine.connect() as connection:
        for session, item, time_ms in connection.execute(rows):
            before = [turn for turn in shown.get((session, item), ()) if turn.time_ms <= time_ms]
            if before:
                saved.add((before[-1].turn_id, item))
    counts: dict[str, int] = defaultdict(int)
    for turn_id, _ in saved:
        counts[turn_id] += 1
    return dict(counts)


def sample(turns: Sequence[Turn], bundle: str, saved: Mapping[str, int]) -> Sample:
    """What a bundle did in these turns.

    Args:
        turns: All that asked the model.
        bundle: Whose part it is.
        saved: By turn, its items that were saved.
    """
    own = [[one for one in turn.asked if one.bundle == bundle] for turn in turns]
    own = [asked for asked in own if asked]
    well = [[one.ms for one in asked if one.ok] for asked in own]
    first = [turn for turn in turns if turn.asked[0].bundle == bundle]
    return Sample(
        calls_N=_counts(map(len, own)),
        failed_N=_counts(sum(not one.ok for one in asked) for asked in own),
        ms_N=np.array([max(sum(ms) / len(ms), 0.1) for ms in well if ms], np.float64),
        shown_M=_counts(len(turn.shown) for turn in first),
        saved_M=_counts(saved.get(turn.turn_id, 0) for turn in first),
        cents_M=np.array([turn.cents for turn in first], np.float64),
    )


def silence(turns: Sequence[Turn], before: Sequence[Turn]) -> Silence:
    """Requests without an answer, since the canary has its share and before it began."""
    return Silence(*(counts for part in (turns, before) for counts in _silent(part)))


def _silent(turns: Sequence[Turn]) -> tuple[np.ndarray, np.ndarray]:
    silent = (sum(not one.ok and not one.bundle for one in turn.asked) for turn in turns)
    return _counts(len(turn.asked) for turn in turns), _counts(silent)


def _counts(values: Iterable[int]) -> np.ndarray:
    return np.array(list(values), np.int64)


def _turn(row: Mapping[str, Any], model: str) -> Turn:
    record = json.loads(row["record"])
    calls = [call for call in record.get("calls") or () if call["model"] == model]
    return Turn(
        turn_id=row["turn_id"],
        session=row["conversation_id"],
        time_ms=row["time_ms"],
        asked=tuple(Asked(call["bundle"], call["ms"], call["ok"]) for call in calls),
        shown=tuple(str(item["item_id"]) for item in record.get("items") or ()),
        cents=float(record.get("cents") or 0.0),
    )
