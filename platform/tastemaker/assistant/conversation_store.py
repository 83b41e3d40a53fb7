"""Conversations and the record of their turns, kept in the operational database.

A turn is one row: what was asked and answered (its record, which the page and an operator read)
and what the router saw of it (its state, which the next turn needs). A conversation ends by
itself when it is idle for long; its turns' records stay until their user is forgotten. Vectors
of catalogue items are not stored: they are read again, in the space that the row names.
"""

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from pydantic_core import to_json
from sqlalchemy import Engine, bindparam, delete, insert, select, update

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation import Turn
from tastemaker.assistant.conversation_state import read_turn, write_turn
from tastemaker.assistant.conversation_tables import (
    conversations_table,
    find_conversation,
    find_turn,
    guests_table,
    turns_table,
)
from tastemaker.assistant.identity import Owner
from tastemaker.core.statements import Direct, Statement, reading, writing

_TOUCH = Statement(
    update(conversations_table)
    .where(conversations_table.c.conversation_id == bindparam("conversation"))
    .values(
        space=bindparam("now_space"),
        used_ms=bindparam("now_ms"),
        version=conversations_table.c.version + 1,
    )
    .returning(conversations_table.c.version)
)
_BEGIN, _BEGIN_AS_GUEST, _WRITE_TURN = (
    Statement(insert(table).inline(), [column.name for column in table.columns])
    for table in (conversations_table, guests_table, turns_table)
)
_LEAVE_CONTEXT = Statement(
    update(turns_table)
    .where(turns_table.c.turn_id == bindparam("turn"))
    .values(in_context=bindparam("now_in"))
)
_LEAVE_OTHERS = Statement(  # turns that a gateway did not know of when its own began
    update(turns_table)
    .where(turns_table.c.conversation_id == bindparam("conversation"))
    .where(turns_table.c.place >= bindparam("known"))
    .values(in_context=bindparam("now_in"))
)
_IN_CONTEXT = Statement(
    select(turns_table.c.turn_id, turns_table.c.state)
    .where(turns_table.c.conversation_id == bindparam("conversation"))
    .where(turns_table.c.in_context)
    .order_by(turns_table.c.place)
)
_DELETE = [
    Statement(delete(table).where(table.c.conversation_id == bindparam("conversation")))
    for table in (conversations_table, guests_table, turns_table)
]
_DELETE_TURN = Statement(delete(turns_table).where(turns_table.c.turn_id == bindparam("turn")))
_NEXT_VERSION = Statement(
    update(conversations_table)
    .where(conversations_table.c.conversation_id == bindparam("conversation"))
    .values(version=conversations_table.c.version + bindparam("more"))
)


@dataclass(frozen=True)
class Conversation:
    """A conversation as the next turn finds it: `turns` are those that the router still sees."""

    conversation_id: str
    owner: Owner
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

    def get(self, conversation_id: str | None, owner: Owner) -> Conversation | None:
        """A conversation of this owner's.

        Returns:
            None when it is new, somebody else's, idle for too long, or of another embedding
            space than the live one.
        """
        if not conversation_id:
            return None
        with reading(self.engine) as direct:
            row = find_conversation(direct, conversation_id, owner)
            if row is None or row.space != self.catalogue.space:
                return None
            if row.used_ms < (self.clock() - self.idle_s) * 1000:
                return None
            with self._lock:
                held = self._cache.get(conversation_id)
            if held is not None and held.version == row.version:
                return held
            stored = direct.all(_IN_CONTEXT, {"conversation": conversation_id})
        turns = tuple(
            read_turn(one.turn_id, one.state, self.catalogue) for one in stored if one.state
        )
        return self.keep(Conversation(conversation_id, owner, turns, row.version))

    def new(self, owner: Owner) -> Conversation:
        """A conversation that is stored with its first turn."""
        return Conversation(uuid.uuid4().hex, owner)

    def put(
        self,
        direct: Direct,
        conversation: Conversation,
        context: Sequence[Turn],
        turn: Turn | None,
        record: Mapping[str, Any],
    ) -> Conversation | None:
        """Store a turn that has ended, well or not, as part of a transaction.

        Of turns that two gateways answered at once both are kept; the conversation goes on from
        the one that ended last, whose lists are numbered from what it knew.

        Args:
            direct: The transaction; after it, `keep` what this returns.
            conversation: As `get` or `new` gave it.
            context: Earlier turns that the router still sees.
            turn: What it saw of this one; None for a turn that was broken off, which later turns
                do not see.
            record: What is told of the turn; its `id` is the turn's.

        Returns:
            The conversation as the next turn finds it; None where nothing is stored, because it
            was deleted while the turn was under way.
        """
        now_ms = int(self.clock() * 1000)
        version = self._touch(direct, conversation, now_ms)
        if version is None:
            return None
        kept = {earlier.turn_id for earlier in context}
        left = [earlier.turn_id for earlier in conversation.turns if earlier.turn_id not in kept]
        if turn is not None and left:
            rows = [{"turn": turn_id, "now_in": False} for turn_id in left]
            direct.run_many(_LEAVE_CONTEXT, rows)
        alone = version == conversation.version + 1
        if turn is not None and not alone:
            others = {"conversation": conversation.conversation_id, "known": conversation.version}
            direct.run(_LEAVE_OTHERS, {**others, "now_in": False})
        row = {
            "turn_id": record["id"],
            "conversation_id": conversation.conversation_id,
            "place": version - 1,
            "user_id": conversation.owner.user_id,
            "time_ms": now_ms,
            "in_context": turn is not None,
            "record": to_json(record).decode(),
            "state": None if turn is None else write_turn(turn),
        }
        direct.run(_WRITE_TURN, row)
        turns = tuple(context) + ((turn,) if turn else ())
        # beside another gateway's turn this copy may be wrong: version 0 is never the stored one
        return replace(conversation, turns=turns, version=version if alone else 0)

    def keep(self, held: Conversation) -> Conversation:
        """Keep a stored conversation decoded in memory."""
        with self._lock:
            self._cache[held.conversation_id] = held
            self._cache.move_to_end(held.conversation_id)
            while len(self._cache) > self.max_cached:
                self._cache.popitem(last=False)
        return held

    def delete(self, conversation_id: str, owner: Owner) -> bool:
        """Delete a conversation of this owner's with its turns; False where there is none."""
        with writing(self.engine) as direct:
            found = find_conversation(direct, conversation_id, owner) is not None
            if found:
                for statement in _DELETE:
                    direct.run(statement, {"conversation": conversation_id})
        with self._lock:
            self._cache.pop(conversation_id, None)
        return found

    def delete_turn(self, turn_id: str, owner: Owner) -> bool:
        """Delete one turn of this owner's; later turns no longer see it."""
        with writing(self.engine) as direct:
            row = find_turn(direct, turn_id, owner)
            if row is None:
                return False
            direct.run(_DELETE_TURN, {"turn": turn_id})
            direct.run(_NEXT_VERSION, {"conversation": row.conversation_id, "more": 1})
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
            gone = [key for key, held in self._cache.items() if held.owner.user_id == user_id]
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
            old = conversations_table.c.used_ms < before_ms
            ids = select(conversations_table.c.conversation_id).where(old)
            connection.execute(delete(guests_table).where(guests_table.c.conversation_id.in_(ids)))
            connection.execute(delete(conversations_table).where(old))
        return gone

    def _touch(self, direct: Direct, conversation: Conversation, now_ms: int) -> int | None:
        """Store the conversation's row.

        Returns:
            Its version now; None where it was there and was deleted.
        """
        own = {"conversation_id": conversation.conversation_id, "space": self.catalogue.space}
        touched = {
            "conversation": conversation.conversation_id,
            "now_space": self.catalogue.space,
            "now_ms": now_ms,
        }
        row = direct.one(_TOUCH, touched)
        if row is not None:
            return int(row.version)
        if conversation.version:
            return None
        owner = conversation.owner
        first = {**own, "user_id": owner.user_id, "used_ms": now_ms, "version": 1}
        direct.run(_BEGIN, first)
        if owner.user_id is None:
            guest = {"conversation_id": conversation.conversation_id, "caller": owner.guest_of}
            direct.run(_BEGIN_AS_GUEST, guest)
        return 1
