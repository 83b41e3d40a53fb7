"""The log of live events: durable before anything is made of them (an outbox), and tombstones.

An event is written here first; features follow. While the feature store is down its events stay
`pending` and are pushed later, so none is lost. Forgetting a user deletes the rows and leaves a
tombstone: no job that reads an older dataset version may bring that user's past back.
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)

from tastemaker.core.database import metadata
from tastemaker.core.errors import DataError
from tastemaker.core.statements import Direct, Statement, writing
from tastemaker.data.records import ACTIONS

_BATCH = 500  # values of one IN (...)
_KEY = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers INTEGER keys alone

live_events = Table(
    "live_events",
    metadata,
    Column("event_id", _KEY, primary_key=True, autoincrement=True),
    Column("user_id", String(200)),
    Column("session_id", String(200), nullable=False),
    Column("item_id", String(500), nullable=False),
    Column("action", String(20), nullable=False),
    Column("surface", String(40), nullable=False),
    Column("time_ms", BigInteger, nullable=False),
    Column("pushed", Boolean, nullable=False, default=False),
    Index("live_events_of_user", "user_id", "time_ms"),
    Index("live_events_of_session", "session_id", "time_ms"),
    Index("live_events_pending", "pushed", "event_id"),
    sqlite_autoincrement=True,  # an id is never used twice, not even after a deletion
)
forgotten_users = Table(
    "forgotten_users",
    metadata,
    Column("user_id", String(200), primary_key=True),
    Column("forgotten_ms", BigInteger, nullable=False),
    Column("cleared", Boolean, nullable=False, default=False),  # out of the feature store, too
    Column("sessions", Text, nullable=False, default=""),  # to clear: one id a line
)
_COLUMNS = [column.name for column in live_events.columns if column.name != "event_id"]
_WRITE = Statement(insert(live_events).inline(), _COLUMNS)
_WRITE_NUMBERED = Statement(insert(live_events).returning(live_events.c.event_id), _COLUMNS)
_TOMBSTONES = select(forgotten_users.c.user_id, forgotten_users.c.forgotten_ms)
_TOMBSTONE = Statement(_TOMBSTONES.where(forgotten_users.c.user_id == bindparam("user")))


@dataclass(frozen=True)
class LiveEvent:
    """Something that happened at the assistant.

    Attributes:
        user_id: Whose; None for somebody unknown.
        session_id: The conversation.
        item_id: Of what.
        action: One of `records.ACTIONS`.
        surface: Where: feed, search, board, assistant.
        time_ms: When, milliseconds since 1970, UTC.
        event_id: Its number in the log; 0 before it is written.
    """

    user_id: str | None
    session_id: str
    item_id: str
    action: str
    surface: str
    time_ms: int
    event_id: int = 0


def append(engine: Engine, events: Sequence[LiveEvent]) -> list[int]:
    """Write events; they are durable when this returns, and pending; see `add`."""
    with writing(engine) as direct:
        return add(direct, events)


def add(direct: Direct, events: Sequence[LiveEvent], *, remembered: bool = False) -> list[int]:
    """Write events as part of a transaction.

    An event from before its user was forgotten is dropped: it was deleted already. Impressions are
    not pending: no feature reads them.

    Args:
        direct: The transaction.
        events: What happened.
        remembered: No user of these was forgotten since: the transaction has looked.

    Returns:
        The ids of the pending ones that were written, in order.

    Raises:
        DataError: An action that does not exist, or an empty session or item.
    """
    for event in events:
        _check(event)
    users = set() if remembered else {event.user_id for event in events if event.user_id}
    gone = {row.user_id: row.forgotten_ms for user in users if (row := _tombstone(direct, user))}
    rows = [_row(event) for event in events if event.time_ms > gone.get(event.user_id or "", -1)]
    shown = [row for row in rows if row["pushed"]]
    pending = [row for row in rows if not row["pushed"]]
    if shown:
        direct.run_many(_WRITE, shown)
    return [int(direct.one(_WRITE_NUMBERED, row).event_id) for row in pending]


def pending(engine: Engine, limit: int = 1000) -> list[LiveEvent]:
    """The oldest events that the feature store has not taken, at most `limit`."""
    waiting = select(live_events).where(live_events.c.pushed.is_(False))
    return _read(engine, waiting.order_by(live_events.c.event_id).limit(limit))


def oldest_pending_ms(engine: Engine) -> int | None:
    """Time of the oldest event that the feature store has not taken; None: it has all."""
    oldest = select(func.min(live_events.c.time_ms)).where(live_events.c.pushed.is_(False))
    with engine.connect() as connection:
        found: int | None = connection.execute(oldest).scalar()
    return found


def mark_pushed(engine: Engine, ids: Sequence[int]) -> None:
    """The feature store has taken these events."""
    with engine.begin() as connection:
        for part in _parts(ids):
            taken = update(live_events).where(live_events.c.event_id.in_(part))
            connection.execute(taken.values(pushed=True))


def mark_pending_from(engine: Engine, event_id: int) -> int:
    """Events from this id on are pushed again; the number of them.

    A job that rewrites the feature store may overtake a push; pushing twice changes nothing.
    """
    again = update(live_events).where(live_events.c.event_id >= event_id)
    with engine.begin() as connection:
        return connection.execute(again.values(pushed=False)).rowcount


def of_user(engine: Engine, user_id: str, limit: int = 64) -> list[LiveEvent]:
    """A user's latest events, oldest first, impressions left out."""
    own = select(live_events).where(live_events.c.user_id == user_id)
    return _latest(engine, own, limit)


def of_session(engine: Engine, session_id: str, limit: int = 64) -> list[LiveEvent]:
    """A session's latest events, oldest first, impressions left out."""
    own = select(live_events).where(live_events.c.session_id == session_id)
    return _latest(engine, own, limit)


def users(engine: Engine) -> list[str]:
    """Users with events in the log, sorted."""
    own = live_events.c.user_id
    with engine.connect() as connection:
        found = connection.execute(select(own).where(own.is_not(None)).distinct().order_by(own))
        return list(found.scalars())


def sessions(engine: Engine, since_ms: int) -> list[str]:
    """Sessions with an event at or after a time, sorted."""
    own = live_events.c.session_id
    recent = select(own).where(live_events.c.time_ms >= since_ms).distinct().order_by(own)
    with engine.connect() as connection:
        return list(connection.execute(recent).scalars())


def since(engine: Engine, event_id: int = 0, limit: int = 100_000) -> list[LiveEvent]:
    """Events from an id on, in the order of the log, at most `limit`."""
    rows = select(live_events).where(live_events.c.event_id >= event_id)
    return _read(engine, rows.order_by(live_events.c.event_id).limit(limit))


def next_id(engine: Engine) -> int:
    """One more than the latest event's id."""
    with engine.connect() as connection:
        latest = connection.execute(select(func.max(live_events.c.event_id))).scalar()
    return int(latest or 0) + 1


def forget_user(engine: Engine, user_id: str, *, now_ms: int | None = None) -> int:
    """Delete a user's events and leave a tombstone.

    Args:
        engine: The database.
        user_id: Whose events go.
        now_ms: Events up to this time are gone for ever; default: now.

    Returns:
        How many events were deleted.
    """
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    own = live_events.c.user_id == user_id
    tombstone = forgotten_users.c.user_id == user_id
    with engine.begin() as connection:
        found = connection.execute(select(live_events.c.session_id).where(own).distinct())
        sessions = set(found.scalars())
        earlier = connection.execute(select(forgotten_users.c.sessions).where(tombstone)).scalar()
        sessions |= set((earlier or "").split("\n")) - {""}
        connection.execute(delete(forgotten_users).where(tombstone))
        row = {"user_id": user_id, "forgotten_ms": now_ms, "cleared": False}
        connection.execute(
            insert(forgotten_users).values(**row, sessions="\n".join(sorted(sessions)))
        )
        return connection.execute(delete(live_events).where(own)).rowcount


def drop_session(engine: Engine, session_id: str) -> None:
    """Delete a session's events: its user was forgotten while they were written."""
    with engine.begin() as connection:
        connection.execute(delete(live_events).where(live_events.c.session_id == session_id))


def forgotten(engine: Engine) -> set[str]:
    """Users who have a tombstone."""
    return set(forgotten_at(engine))


def forgotten_at(engine: Engine, users: Collection[str] | None = None) -> dict[str, int]:
    """Tombstones: by user, the time up to which events are gone; of these users, or of all."""
    with engine.connect() as connection:
        return _forgotten_at(connection, users)


def forgotten_since(direct: Direct, user_id: str | None, since_ms: int) -> bool:
    """Whether a user was forgotten at or after a time; never for nobody.

    What was begun before then ends without leaving anything of that user.
    """
    if user_id is None:
        return False
    found = _tombstone(direct, user_id)
    return found is not None and found.forgotten_ms >= since_ms


def uncleared(engine: Engine) -> dict[str, tuple[str, ...]]:
    """Forgotten users whom the feature store still holds, each with the sessions to clear."""
    rows = select(forgotten_users).where(forgotten_users.c.cleared.is_(False))
    with engine.connect() as connection:
        return {
            row.user_id: tuple(part for part in row.sessions.split("\n") if part)
            for row in connection.execute(rows)
        }


def mark_cleared(engine: Engine, user_id: str) -> None:
    """The feature store holds nothing of this user any more."""
    done = update(forgotten_users).where(forgotten_users.c.user_id == user_id)
    with engine.begin() as connection:
        connection.execute(done.values(cleared=True, sessions=""))


def _check(event: LiveEvent) -> None:
    if event.action not in ACTIONS:
        known = ", ".join(ACTIONS)
        raise DataError(f"unknown action {event.action!r}; the actions are: {known}")
    if not event.session_id or not event.item_id:
        raise DataError(f"an event needs a session and an item, got {event!r}")
    if "\n" in event.session_id:
        raise DataError(f"a session id is one line, got {event.session_id!r}")


def _row(event: LiveEvent) -> dict[str, object]:
    row = {**event.__dict__, "pushed": event.action == "impression"}
    del row["event_id"]
    return row


def _tombstone(direct: Direct, user_id: str) -> Any:
    return direct.one(_TOMBSTONE, {"user": user_id})


def _forgotten_at(connection: Connection, users: Collection[str] | None) -> dict[str, int]:
    if users is None:
        return {row.user_id: row.forgotten_ms for row in connection.execute(_TOMBSTONES)}
    found: dict[str, int] = {}
    for part in _parts(sorted(users)):
        chosen = _TOMBSTONES.where(forgotten_users.c.user_id.in_(part))
        found |= {row.user_id: row.forgotten_ms for row in connection.execute(chosen)}
    return found


def _latest(engine: Engine, rows: object, limit: int) -> list[LiveEvent]:
    kept = rows.where(live_events.c.action != "impression")  # type: ignore[attr-defined]
    newest = (live_events.c.time_ms.desc(), live_events.c.event_id.desc())
    return _read(engine, kept.order_by(*newest).limit(limit))[::-1]


def _read(engine: Engine, rows: object) -> list[LiveEvent]:
    with engine.connect() as connection:
        return [_event(row) for row in connection.execute(rows).mappings()]  # type: ignore[call-overload]


def _event(row: Mapping[str, object]) -> LiveEvent:
    return LiveEvent(**{name: value for name, value in row.items() if name != "pushed"})  # type: ignore[arg-type]


def _parts(values: Sequence) -> Iterable[Sequence]:
    return (values[begin : begin + _BATCH] for begin in range(0, len(values), _BATCH))
