"""Conversations and the record of their turns, kept in the operational database.

A turn is one row: what was asked and answered (its record, which the page and an operator read)
and what the router saw of it (its state, which the next turn needs). A conversation ends by
itself when it is idle for long; its turns' records stay until their user is forgotten. Vectors
of catalogue items are not stored: they are read again, in the space that the row names.
"""

import json
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Engine,
    Index,
    Integer,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation import Turn
from tastemaker.assistant.conversation_state import read_turn, write_turn
from tastemaker.core.database import metadata
from tastemaker.data import event_log

conversations_table = Table(
    "conversations",
    metadata,
    Column("conversation_id", String(64), primary_key=True),
    Column("user_id", String(256)),
    Column("space", String(64), nullable=False),
    Column("used_ms", BigInteger, nullable=False),
    Column("version", Integer, nullable=False),
    Index("conversations_by_user", "user_id"),
    Index("conversations_by_use", "used_ms"),
)
turns_table = Table(
    "turns",
    metadata,
    Column("turn_id", String(64), primary_key=True),
    Column("conversation_id", String(64), nullable=False),
    Column("place", Integer, nullable=False),
    Column("user_id", String(256)),
    Column("time_ms", BigInteger, nullable=False),
    Column("in_context", Boolean, nullable=False),  # whether the router still sees it
    Column("record", Text, nullable=False),
    Column("state", Text),
    Index("turns_by_conversation", "conversation_id", "place"),
    Index("turns_by_user", "user_id"),
)


@dataclass(frozen=True)
class Conversation:
    """A conversation as the next turn finds it: `turns` are those that the router still sees."""

    conversation_id: str
    user_id: str | None
    turns: tuple[Turn, ...] = ()
    version: int = 0


@dataclass
class Conversations:
    """The store.

    Args:
        engine: The operational database.
        catalogue: Items and vectors, in the live space.
        idle_s: A conversation ends after so many seconds without a turn.
        max_cached: Conversations that are kept decoded in memory.
        clock: Seconds since 1970.
    """

    engine: Engine
    catalogue: Catalogue
    idle_s: float = 86_400.0
    max_cached: int = 1000
    clock: Callable[[], float] = time.time
    _cache: OrderedDict[str, Conversation] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def get(self, conversation_id: str | None, user_id: str | None) -> Conversation | None:
        """A conversation of this user's.

        Returns:
            None when it is new, somebody else's, idle for too long, or of another embedding
            space than the live one.
        """
        if not conversation_id:
            return None
        table = conversations_table
        with self.engine.connect() as connection:
            row = connection.execute(
                select(table).where(table.c.conversation_id == conversation_id)
            ).one_or_none()
            if row is None or row.user_id != user_id or row.space != self.catalogue.space:
                return None
            if row.used_ms < (self.clock() - self.idle_s) * 1000:
                return None
            with self._lock:
                held = self._cache.get(conversation_id)
            if held is not None and held.version == row.version:
                return held
            stored = connection.execute(
                select(turns_table.c.turn_id, turns_table.c.state)
                .where(turns_table.c.conversation_id == conversation_id)
                .where(turns_table.c.in_context)
                .order_by(turns_table.c.place)
            ).all()
        turns = tuple(
            read_turn(one.turn_id, one.state, self.catalogue) for one in stored if one.state
        )
        return self._keep(Conversation(conversation_id, user_id, turns, row.version))

    def new(self, user_id: str | None) -> Conversation:
        """A conversation that is stored with its first turn."""
        return Conversation(uuid.uuid4().hex, user_id)

    def put(
        self,
        conversation: Conversation,
        context: Sequence[Turn],
        turn: Turn | None,
        record: Mapping[str, Any],
        *,
        began_ms: int | None = None,
    ) -> bool:
        """Store a turn that has ended, well or not.

        Args:
            conversation: As `get` or `new` gave it.
            context: Earlier turns that the router still sees.
            turn: What it saw of this one; None for a turn that was broken off, which later turns
                do not see.
            record: What is told of the turn; its `id` is the turn's.
            began_ms: When the turn began, ms since 1970 UTC.

        Returns:
            False where nothing is stored: its conversation was deleted, or its user forgotten,
            while the turn was under way.
        """
        now_ms = int(self.clock() * 1000)
        if event_log.forgotten_since(self.engine, conversation.user_id, began_ms):
            return False
        held = replace(
            conversation,
            turns=tuple(context) + ((turn,) if turn else ()),
            version=conversation.version + 1,
        )
        kept = [earlier.turn_id for earlier in context if earlier.turn_id]
        with self.engine.begin() as connection:
            if not self._touch(connection, held, now_ms):
                return False
            if turn is not None and len(kept) < len(conversation.turns):
                connection.execute(
                    update(turns_table)
                    .where(turns_table.c.conversation_id == conversation.conversation_id)
                    .where(turns_table.c.in_context, turns_table.c.turn_id.not_in(kept))
                    .values(in_context=False)
                )
            connection.execute(
                insert(turns_table).values(
                    turn_id=record["id"],
                    conversation_id=conversation.conversation_id,
                    place=conversation.version,
                    user_id=conversation.user_id,
                    time_ms=now_ms,
                    in_context=turn is not None,
                    record=json.dumps(record, ensure_ascii=False),
                    state=None if turn is None else write_turn(turn),
                )
            )
        self._keep(held)
        if event_log.forgotten_since(self.engine, conversation.user_id, began_ms):
            self.delete(conversation.conversation_id, conversation.user_id)
            return False  # forgotten just now: whoever comes later deletes, them or us
        return True

    def records(self, conversation_id: str, user_id: str | None) -> list[dict[str, Any]] | None:
        """Records of a conversation's turns, oldest first; None where this user has no such."""
        with self.engine.connect() as connection:
            owner = connection.execute(
                select(conversations_table.c.user_id).where(
                    conversations_table.c.conversation_id == conversation_id
                )
            ).one_or_none()
            if owner is None or owner.user_id != user_id:
                return None
            rows = connection.execute(
                select(turns_table.c.record)
                .where(turns_table.c.conversation_id == conversation_id)
                .order_by(turns_table.c.place)
            ).scalars()
            return [json.loads(text) for text in rows]

    def record(self, turn_id: str, user_id: str | None) -> dict[str, Any] | None:
        """The record of one turn; None where this user has no such."""
        with self.engine.connect() as connection:
            row = connection.execute(
                select(turns_table.c.record, turns_table.c.user_id).where(
                    turns_table.c.turn_id == turn_id
                )
            ).one_or_none()
        return json.loads(row.record) if row is not None and row.user_id == user_id else None

    def count(self, user_id: str) -> int:
        """Conversations of a user."""
        table = conversations_table
        with self.engine.connect() as connection:
            return connection.execute(
                select(func.count()).select_from(table).where(table.c.user_id == user_id)
            ).scalar_one()

    def delete(self, conversation_id: str, user_id: str | None) -> bool:
        """Delete a conversation of this user's with its turns; False where there is none."""
        owned = conversations_table.c.user_id.is_not_distinct_from(user_id)
        with self.engine.begin() as connection:
            found = connection.execute(
                delete(conversations_table)
                .where(conversations_table.c.conversation_id == conversation_id)
                .where(owned)
            ).rowcount
            if found:
                connection.execute(
                    delete(turns_table).where(turns_table.c.conversation_id == conversation_id)
                )
        with self._lock:
            self._cache.pop(conversation_id, None)
        return bool(found)

    def delete_turn(self, turn_id: str, user_id: str | None) -> bool:
        """Delete one turn of this user's; later turns no longer see it."""
        with self.engine.begin() as connection:
            row = connection.execute(
                select(turns_table.c.conversation_id, turns_table.c.user_id).where(
                    turns_table.c.turn_id == turn_id
                )
            ).one_or_none()
            if row is None or row.user_id != user_id:
                return False
            connection.execute(delete(turns_table).where(turns_table.c.turn_id == turn_id))
            connection.execute(
                update(conversations_table)
                .where(conversations_table.c.conversation_id == row.conversation_id)
                .values(version=conversations_table.c.version + 1)
            )
        return True

    def forget(self, user_id: str) -> dict[str, int]:
        """Delete all of a user's conversations and turns; how many of each."""
        with self.engine.begin() as connection:
            turns = connection.execute(
                delete(turns_table).where(turns_table.c.user_id == user_id)
            ).rowcount
            conversations = connection.execute(
                delete(conversations_table).where(conversations_table.c.user_id == user_id)
            ).rowcount
        with self._lock:
            gone = [key for key, held in self._cache.items() if held.user_id == user_id]
            for key in gone:
                del self._cache[key]
        return {"conversations": conversations, "turns": turns}

    def sweep(self, keep_days: float) -> int:
        """Delete turns older than so many days, and conversations without a turn; how many."""
        before_ms = int((self.clock() - keep_days * 86_400) * 1000)
        with self.engine.begin() as connection:
            gone = connection.execute(
                delete(turns_table).where(turns_table.c.time_ms < before_ms)
            ).rowcount
            connection.execute(
                delete(conversations_table).where(conversations_table.c.used_ms < before_ms)
            )
        return gone

    def _touch(self, connection: Any, held: Conversation, now_ms: int) -> bool:
        """Store the conversation's row; False where it was there and was deleted."""
        table = conversations_table
        values = {"space": self.catalogue.space, "used_ms": now_ms, "version": held.version}
        changed = connection.execute(
            update(table).where(table.c.conversation_id == held.conversation_id).values(**values)
        ).rowcount
        if not changed and held.version > 1:
            return False
        if not changed:
            who = {"conversation_id": held.conversation_id, "user_id": held.user_id}
            connection.execute(insert(table).values(**who, **values))
        return True

    def _keep(self, held: Conversation) -> Conversation:
        with self._lock:
            self._cache[held.conversation_id] = held
            self._cache.move_to_end(held.conversation_id)
            while len(self._cache) > self.max_cached:
                self._cache.popitem(last=False)
        return held
