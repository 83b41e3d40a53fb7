"""Tables of conversations, and whose a conversation is."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    select,
)

from tastemaker.assistant.identity import Owner
from tastemaker.core.database import metadata
from tastemaker.core.statements import Direct, Statement

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
guests_table = Table(  # conversations of nobody by name: they belong to whoever began them
    "guest_conversations",
    metadata,
    Column("conversation_id", String(64), primary_key=True),
    Column("caller", String(300), nullable=False),
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
    Index("turns_by_time", "time_ms"),
)
_GUEST_OF = guests_table.c.caller.label("guest_of")
_CONVERSATION = select(conversations_table, _GUEST_OF).outerjoin(
    guests_table, guests_table.c.conversation_id == conversations_table.c.conversation_id
)
_TURN = select(turns_table, _GUEST_OF).outerjoin(
    guests_table, guests_table.c.conversation_id == turns_table.c.conversation_id
)

THE_CONVERSATION = _CONVERSATION.where(
    conversations_table.c.conversation_id == bindparam("conversation")
)
_THE_CONVERSATION = Statement(THE_CONVERSATION)
_THE_TURN = Statement(_TURN.where(turns_table.c.turn_id == bindparam("turn")))


def find_conversation(direct: Direct, conversation_id: str, owner: Owner) -> Any:
    """The row of a conversation; None where this owner has no such."""
    return _owned(direct.one(_THE_CONVERSATION, {"conversation": conversation_id}), owner)


def find_turn(direct: Direct, turn_id: str, owner: Owner) -> Any:
    """The row of a turn; None where this owner has no such."""
    return _owned(direct.one(_THE_TURN, {"turn": turn_id}), owner)


def _owned(row: Any, owner: Owner) -> Any:
    if row is None or Owner(row.user_id, row.guest_of or "") != owner:
        return None
    return row
