"""Reads what is told of turns: their records, which the page and an operator see."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, bindparam, func, select

from tastemaker.assistant.conversation_tables import (
    conversations_table,
    find_conversation,
    find_turn,
    turns_table,
)
from tastemaker.assistant.identity import Owner
from tastemaker.core.statements import Statement, reading

_RECORDS = Statement(
    select(turns_table.c.record)
    .where(turns_table.c.conversation_id == bindparam("conversation"))
    .order_by(turns_table.c.place)
)


@dataclass(frozen=True)
class Records:
    """The records.

    Args:
        engine: The operational database.
    """

    engine: Engine

    def of_conversation(self, conversation_id: str, owner: Owner) -> list[dict[str, Any]] | None:
        """Records of a conversation's turns, oldest first; None where this owner has no such."""
        with reading(self.engine) as direct:
            if find_conversation(direct, conversation_id, owner) is None:
                return None
            rows = direct.all(_RECORDS, {"conversation": conversation_id})
            return [json.loads(row.record) for row in rows]

    def of_turn(self, turn_id: str, owner: Owner) -> dict[str, Any] | None:
        """The record of one turn; None where this owner has no such."""
        with reading(self.engine) as direct:
            row = find_turn(direct, turn_id, owner)
        return None if row is None else json.loads(row.record)

    def count(self, user_id: str) -> int:
        """Conversations of a user."""
        table = conversations_table
        with self.engine.connect() as connection:
            return connection.execute(
                select(func.count()).select_from(table).where(table.c.user_id == user_id)
            ).scalar_one()
