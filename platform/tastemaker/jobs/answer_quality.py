"""Quality of answers from the operational database: rates of a window, and what they were before.

Read as plain columns: the tables' owner is the assistant, a sibling that jobs do not import.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Engine, column, inspect, select, table

from tastemaker.data.event_log import live_events
from tastemaker.evaluation.drift import Finding, rise, wilson
from tastemaker.jobs.drift_config import DriftConfig
from tastemaker.router.tools import COMPLETE, RECOMMEND, SEARCH, SHOP_ROOM, SIMILAR

_TURNS = table("turns", column("turn_id"), column("time_ms"), column("record"))
_SEARCHES = (SEARCH, SIMILAR, RECOMMEND, COMPLETE, SHOP_ROOM)


@dataclass(frozen=True)
class Counts:
    """What happened in a window.

    Attributes:
        turns: Of the assistant.
        failed: Turns that ended in an error.
        faulty: Turns with a step that went wrong, mended or not.
        left: Turns that the user did not wait for.
        searched: Turns in which something was looked for.
        empty: Of these, turns that found nothing.
        shown: Items that were shown at the assistant.
        saved: Saves and clicks on items of the assistant.
    """

    turns: int = 0
    failed: int = 0
    faulty: int = 0
    left: int = 0
    searched: int = 0
    empty: int = 0
    shown: int = 0
    saved: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        names = [field.name for field in fields(self)]
        return Counts(**{name: getattr(self, name) + getattr(other, name) for name in names})


def count(engine: Engine, begin_ms: int, end_ms: int) -> Counts:
    """Count a window `[begin_ms, end_ms)`."""
    total = Counts()
    for record in _records(engine, begin_ms, end_ms):
        total += of_turn(record)
    return total + Counts(saved=_saves(engine, begin_ms, end_ms))


def of_turn(record: Mapping[str, Any]) -> Counts:
    """What one turn counts for."""
    steps = record.get("steps") or []
    searches = [step for step in steps if step.get("tool") in _SEARCHES]
    return Counts(
        turns=1,
        failed=int(record.get("status") == "failed"),
        faulty=int(any(step.get("error") for step in steps)),
        left=int(record.get("status") == "cancelled"),
        searched=int(bool(searches)),
        empty=int(bool(searches) and not any(step.get("num_items") for step in searches)),
        shown=len(record.get("items") or []),
    )


def compare(recent: Counts, before: Counts, config: DriftConfig) -> list[Finding]:
    """Rates that rose or fell, each with its interval; and ceilings that hold whatever was."""
    worse = [
        _rise("failed turns", "failed", "turns", recent, before, config),
        _rise("turns with a step that went wrong", "faulty", "turns", recent, before, config),
        _rise("turns that were not waited for", "left", "turns", recent, before, config),
        _rise("searches without a result", "empty", "searched", recent, before, config),
        _fall("saves an item shown", "saved", "shown", recent, before, config),
    ]
    ceilings = (
        ("failed turns, at all", recent.failed, recent.turns, config.max_error_frac),
        ("searches without a result, at all", recent.empty, recent.searched, config.max_empty_frac),
    )
    return worse + [_ceiling(*one, config.min_turns) for one in ceilings]


def _rise(
    name: str, hits: str, total: str, recent: Counts, before: Counts, config: DriftConfig
) -> Finding:
    now, then = getattr(recent, total), getattr(before, total)
    value, low, high = rise(getattr(recent, hits), now, getattr(before, hits), then)
    limit = config.max_rise_frac
    return Finding(name, "answers", value, low, high, limit, then, now, config.min_turns)


def _fall(
    name: str, hits: str, total: str, recent: Counts, before: Counts, config: DriftConfig
) -> Finding:
    """A fall is a rise seen backwards; more saves than items shown count as all."""
    now, then = getattr(recent, total), getattr(before, total)
    ups = min(getattr(recent, hits), now), min(getattr(before, hits), then)
    value, low, high = rise(ups[1], then, ups[0], now)
    limit = config.max_fall_frac
    return Finding(
        f"fall of {name}", "answers", value, low, high, limit, then, now, config.min_turns
    )


def _ceiling(name: str, hits: int, total: int, limit: float, min_turns: int) -> Finding:
    low, high = wilson(hits, total)
    rate = hits / total if total else 0.0
    return Finding(name, "answers", rate, low, high, limit, total, total, min_turns)


def _records(engine: Engine, begin_ms: int, end_ms: int) -> Iterator[Mapping[str, Any]]:
    if not inspect(engine).has_table("turns"):
        return
    when = _TURNS.c.time_ms
    rows = select(_TURNS.c.record).where(when >= begin_ms, when < end_ms)
    with engine.connect() as connection:
        for (text,) in connection.execution_options(yield_per=500).execute(rows):
            yield json.loads(text)


def _saves(engine: Engine, begin_ms: int, end_ms: int) -> int:
    own = live_events.c
    rows = select(own.item_id, own.session_id).where(
        own.time_ms >= begin_ms,
        own.time_ms < end_ms,
        own.surface == "assistant",
        own.action.in_(("save", "click")),
    )
    with engine.connect() as connection:
        return len(set(connection.execute(rows).all()))
