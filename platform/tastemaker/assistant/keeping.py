"""What a turn leaves behind, stored at once or not at all.

Its record, the state that the next turn goes on from, its lines of the ledger, what its caller
has spent, and what the user was shown and clicked, in one transaction.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.conversation import Turn
from tastemaker.assistant.conversation_store import Conversation, Conversations
from tastemaker.assistant.ledger import Entry, Ledger
from tastemaker.assistant.limits import Limits
from tastemaker.assistant.reply import Reply
from tastemaker.core.statements import reading, writing
from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent
from tastemaker.features.client import FeatureClient


@dataclass(frozen=True)
class Left:
    """What a turn leaves.

    Attributes:
        conversation: As the turn found it.
        caller: Name of who pays for it.
        context: Earlier turns that the router still sees.
        turn: What it saw of this one; None for a turn that was broken off.
        record: What is told of the turn.
        entries: What it cost.
        began_ms: When it began, ms since 1970 UTC.
        liked: Id of the item that was clicked to ask it, empty for none.
    """

    conversation: Conversation
    caller: str
    context: Sequence[Turn]
    turn: Turn | None
    record: Reply
    entries: Sequence[Entry]
    began_ms: int
    liked: str = ""

    def events(self) -> list[LiveEvent]:
        """What the user clicked and was shown; nothing of a turn that was broken off."""
        if self.turn is None:
            return []
        shown = [("impression", str(item["item_id"])) for item in self.record.items]
        clicked = [("closeup", self.liked)] if self.liked else []
        now_ms = int(time.time() * 1000)
        return [
            LiveEvent(
                user_id=self.conversation.owner.user_id,
                session_id=self.conversation.conversation_id,
                item_id=item_id,
                action=action,
                surface="assistant",
                time_ms=now_ms,
            )
            for action, item_id in [*clicked, *shown]
        ]


@dataclass(frozen=True)
class Keeper:
    """Stores what turns leave.

    Args:
        conversations: The store of turns.
        features: Takes what users were shown; its log is in the same database.
        ledger: What turns cost.
        limits: What callers spent.
        boards: The users' boards.
    """

    conversations: Conversations
    features: FeatureClient
    ledger: Ledger
    limits: Limits
    boards: BoardStore

    def keep(self, left: Left) -> None:
        """Store it.

        Of a user who was forgotten while the turn was under way only the money is stored, without
        the user; of a conversation that was deleted, too.
        """
        engine, user = self.conversations.engine, left.conversation.owner.user_id
        held, ids = None, list[int]()
        with writing(engine) as direct:
            self.ledger.add(direct, left.entries)
            spent = self.limits.charge(direct, left.caller, left.record.cents)
            gone = event_log.forgotten_since(direct, user, left.began_ms)
            if not gone:
                held = self.conversations.put(
                    direct, left.conversation, left.context, left.turn, left.record.record()
                )
            if held is not None and (events := left.events()):
                ids = event_log.add(direct, events, remembered=True)
        self.limits.keep(spent)
        if held is not None:
            self.conversations.keep(held)
        # SQLite has one writer, which this was: who forgets later finds what it stored.
        if user is not None and not gone and engine.dialect.name != "sqlite":
            with reading(engine) as direct:  # whoever comes later deletes, they or we
                gone = event_log.forgotten_since(direct, user, left.began_ms)
        if user is not None and gone:
            self._forget(left, user)
        if left.liked and ids:
            self.features.push(ids)

    def _forget(self, left: Left, user: str) -> None:
        """Take out what the turn left of a user: its record, its lines, a board that it saved."""
        conversation = left.conversation
        self.conversations.delete(conversation.conversation_id, conversation.owner)
        event_log.drop_session(self.conversations.engine, conversation.conversation_id)
        self.ledger.forget_user(user)
        for step in left.record.steps:
            if step["tool"] != "board_save" or step.get("error"):
                continue
            board = self.boards.same_title(user, str(step["arguments"]["title"]))
            if board is not None:
                self.boards.delete(board.board_id, user)
