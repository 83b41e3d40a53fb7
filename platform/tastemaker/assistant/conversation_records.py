"""Reads what is told of turns: their records, which the page and an operator see."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select

from tastemaker.assistant.conversation_tables import (
    conversations_table,
    find_conversation,
    find_turn,
    turns_table,
)
from tastemaker.assistant.identity import Owner


@dataclass(frozen=True)
class Records:
    """The records.

    Args:
        engine: The operational database.
    """

    engine: Engine

    def of_conversation(self, conversation_id: str, owner: Owner) -> list[dict[str, Any]] | None:
        """Records of a conversation's turns, oldest first; None where this owner has no such."""
        with self.engine.connect() as connection:
            if find_conversation(connection, conversation_id, owner) is None:
                return None
            rows = connection.execute(
                select(turns_table.c.record)
                .where(turns_table.c.conversation_id == conversation_id)
                .order_by(turns_table.c.place)
            ).scalars()
            return [json.loads(text) for text in rows]

    def of_turn(self, turn_id: str, owner: Owner) -> dict[str, Any] | None:
        """The record of one turn; None where this owner has no such."""
        with self.engine.connect() as connection:
            row = find_turn(connection, turn_id, owner)
        return None if row is None else json.loads(row.record)

    def count(self, user_id: str) -> int:
        """Conversations of a user."""
        table = conversations_table
        with self.engine.connect() as connection:
            return connection.execute(
                select(func.count()).select_from(table).where(table.c.user_id == user_id)
            ).scalar_one()
