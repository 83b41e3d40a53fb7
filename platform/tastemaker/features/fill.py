"""Filling the online store from the offline tables and the log of live events.

Every row is a merge of both, so filling again, or while events are pushed, changes nothing that
is right already. The same code materialises and mends a store that lost its data.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import Engine

from tastemaker.data import event_log
from tastemaker.features import tables
from tastemaker.features.item_facts import ItemFacts
from tastemaker.features.online import STATE, OnlineFeatures, history_row, session_row
from tastemaker.features.signals import Happened, merged

VIEWS = ("user_history", "user_embedding", "item_signals")
Progress = Callable[[str, int], None]  # view, rows done


def happened(events: list[event_log.LiveEvent], facts: ItemFacts) -> list[Happened]:
    """Live events as the features see them; those of unknown items are left out."""
    return [(e.time_ms, e.item_id, e.action) for e in events if e.item_id in facts.place]


def fill(
    online: OnlineFeatures,
    folder: Path,
    engine: Engine,
    facts: ItemFacts,
    *,
    tables_digest: str,
    session_hours: float,
    done: Mapping[str, int] | None = None,
    progress: Progress = lambda view, rows: None,
) -> None:
    """Write the latest row of everything, then the mark that the store is full.

    Args:
        online: The store to write.
        folder: The offline tables.
        engine: Database with the log of live events.
        facts: Of the catalogue.
        tables_digest: Of the offline tables.
        session_hours: Sessions with an event in the last so many hours are written.
        done: Rows of each view that an interrupted call has written already.
        progress: Told after each part.
    """
    gone = event_log.forgotten_at(engine)
    for view in VIEWS:
        rows = 0
        for part in tables.latest(folder, view):
            rows += len(part)
            if rows > (done or {}).get(view, 0):
                _write(online, view, part, engine, facts, gone)
            progress(view, rows)
    _write_live(online, engine, facts, session_hours)
    for user, sessions in event_log.uncleared(engine).items():
        clear(online, engine, user, sessions)
    now_ms = int(time.time() * 1000)
    online.write("store_state", {STATE: (now_ms, {"tables": tables_digest, "written_ms": now_ms})})


def clear(online: OnlineFeatures, engine: Engine, user: str, sessions: tuple[str, ...]) -> int:
    """Take a forgotten user out of the store; what happened since then stays.

    Returns:
        How many rows went.
    """
    gone = sum(online.delete("session_id", session) for session in sessions)
    gone += online.delete("user_id", user)
    event_log.mark_cleared(engine, user)
    return gone


def _write(
    online: OnlineFeatures,
    view: str,
    part: list[dict],
    engine: Engine,
    facts: ItemFacts,
    gone: Mapping[str, int],
) -> None:
    key = tables.SCHEMAS[view].names[0]
    rows = {}
    for row in part:
        name, stamp = row.pop(key), row.pop("event_timestamp")
        after_ms = gone.get(name, -1) if key == "user_id" else -1
        time_ms = round(stamp.timestamp() * 1000)
        if view == "user_history":
            stored = zip(row["user_times"], row["user_items"], row["user_actions"], strict=True)
            live = happened(event_log.of_user(engine, name), facts)
            events = merged(stored, live, after_ms=after_ms)
            if events:
                rows[name] = history_row(facts, events)
        elif time_ms > after_ms:
            rows[name] = (time_ms, row)
    online.write(view, rows)


def _write_live(
    online: OnlineFeatures, engine: Engine, facts: ItemFacts, session_hours: float
) -> None:
    """Users whom only the log knows, and the sessions of the last hours."""
    since_ms = int(time.time() * 1000 - session_hours * 3_600_000)
    for user in event_log.users(engine):
        events = merged(happened(event_log.of_user(engine, user), facts))
        stored = online.events("user_history", [user])[0]
        if events and not stored:
            online.write("user_history", {user: history_row(facts, events)})
    for session in event_log.sessions(engine, since_ms):
        events = merged(happened(event_log.of_session(engine, session), facts))
        if events:
            online.write("session_history", {session: session_row(facts, events)})
