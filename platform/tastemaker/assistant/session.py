"""Answers requests: reads what is known, runs the loop, keeps what came of it.

Order matters where something can break off: what a turn leaves is stored before its reply is given.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

from tastemaker.assistant.answering import Answering
from tastemaker.assistant.asked import Asked
from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation_store import Conversations
from tastemaker.assistant.identity import Caller, Owner
from tastemaker.assistant.keeping import Keeper
from tastemaker.assistant.ledger import Ledger
from tastemaker.assistant.limits import Limits
from tastemaker.assistant.loop import Assistant
from tastemaker.assistant.metrics import Metrics
from tastemaker.assistant.question import Questions
from tastemaker.assistant.reply import Reply
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.tracing import Tracing
from tastemaker.assistant.turn import Step
from tastemaker.core.database import work
from tastemaker.features.client import FeatureClient


@dataclass
class Session:
    """Answers requests and keeps what they were about.

    Args:
        catalogue: Items and vectors.
        assistant: The loop.
        conversations: The store of turns.
        features: What is known of users; takes what they were shown.
        boards: The users' boards.
        ledger: What turns cost.
        limits: What callers spent.
        metrics, tracing: What is seen of them.
        config: Limits.
    """

    catalogue: Catalogue
    assistant: Assistant
    conversations: Conversations
    features: FeatureClient
    boards: BoardStore
    ledger: Ledger
    limits: Limits
    metrics: Metrics
    tracing: Tracing
    config: AssistantConfig
    _locks: WeakValueDictionary[tuple[Owner, str], asyncio.Lock] = field(
        default_factory=WeakValueDictionary
    )

    def __post_init__(self) -> None:
        self.questions = Questions(
            self.catalogue, self.assistant.upstreams, self.boards, self.config
        )
        self._versions = {
            "dataset": self.catalogue.dataset.digest,
            "space": self.catalogue.space,
            "prices": self.ledger.prices.version,
        }
        self.keeper = Keeper(
            self.conversations, self.features, self.ledger, self.limits, self.boards
        )

    async def answer(
        self,
        asked: Asked,
        caller: Caller,
        max_cents: float = math.inf,
        stored: Callable[[Reply], None] = lambda _: None,
    ) -> AsyncGenerator[Step | Reply, None]:
        """Answer one request.

        Args:
            asked: The request.
            caller: Who sent it.
            max_cents: What they may still spend.
            stored: Called once the turn is stored, well or not, before its reply is given;
                perhaps in another thread.

        Yields:
            Each step as it is done, then the reply. When the caller leaves in between, what was
            done is recorded, and the conversation goes on from the turn before.

        Raises:
            BadRequest: A picture that cannot be read, an unknown item clicked, an empty board.
            NotFound: No such board of this user.
        """
        owner = caller.owner(asked.user)
        if asked.conversation is None:
            turn = Answering(self, self.conversations.new(owner), caller, asked, stored)
            async for event in turn.run(max_cents):
                yield event
            return
        async with self._lock(owner, asked.conversation):  # one turn of a conversation at a time
            held = await work(
                self.conversations.engine, self.conversations.get, asked.conversation, owner
            )
            if held is None:
                said = "This conversation was forgotten: a new one began."
                asked = replace(asked, notices=(*asked.notices, said))
                held = self.conversations.new(owner)
            async for event in Answering(self, held, caller, asked, stored).run(max_cents):
                yield event

    def versions(self) -> dict[str, str]:
        """What a turn answers from, besides the bundles: kept in its record."""
        opened = self.features.outbox.opened
        return {**self._versions, "features": opened.generation.tables if opened else ""}

    def _lock(self, owner: Owner, conversation_id: str) -> asyncio.Lock:
        """Whoever knows the id of another's conversation waits for no turn of it, nor holds it up.

        A lock is there for as long as a turn has it or waits for it.
        """
        return self._locks.setdefault((owner, conversation_id), asyncio.Lock())
