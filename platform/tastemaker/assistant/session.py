"""Answers requests: reads what is known, runs the loop, keeps what came of it.

Order matters where something can break off: a turn's record and its money are stored before its
reply is given; what the user was shown follows in the background, from a durable log.
"""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from tastemaker.assistant import accounting
from tastemaker.assistant.asked import Asked
from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation import Turn
from tastemaker.assistant.conversation_store import Conversation, Conversations
from tastemaker.assistant.identity import Caller
from tastemaker.assistant.ledger import Attempt, Entry, Ledger
from tastemaker.assistant.loop import NATIVE, Assistant
from tastemaker.assistant.metrics import Metrics
from tastemaker.assistant.question import Questions
from tastemaker.assistant.reply import Reply, shown_items, step_body
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.tracing import OUTGOING, Tracing, TurnTrace
from tastemaker.assistant.turn import Answer, Question, Step
from tastemaker.core.database import work
from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent
from tastemaker.features.client import FeatureClient
from tastemaker.features.signals import Signals

_MAX_LOCKS = 10_000
_LATE = "What is known of you is not available right now: answered without it."


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
        metrics, tracing: What is seen of them.
        config: Limits.
    """

    catalogue: Catalogue
    assistant: Assistant
    conversations: Conversations
    features: FeatureClient
    boards: BoardStore
    ledger: Ledger
    metrics: Metrics
    tracing: Tracing
    config: AssistantConfig
    _locks: OrderedDict[str, asyncio.Lock] = field(default_factory=OrderedDict)
    _background: set[asyncio.Task[Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.questions = Questions(
            self.catalogue, self.assistant.upstreams, self.boards, self.config
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
        if asked.conversation is None:
            turn = _Turn(self, self.conversations.new(asked.user), caller, asked, stored)
            async for event in turn.run(max_cents):
                yield event
            return
        async with self._lock(asked.conversation):  # one turn of a conversation at a time
            held = await work(
                self.conversations.engine,
                self.conversations.get,
                asked.conversation,
                asked.user,
            )
            if held is None:
                said = "This conversation was forgotten: a new one began."
                asked = replace(asked, notices=(*asked.notices, said))
                held = self.conversations.new(asked.user)
            async for event in _Turn(self, held, caller, asked, stored).run(max_cents):
                yield event

    def later(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do something off the path; `close` waits for it."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """Wait for what is under way in the background."""
        await asyncio.gather(*self._background, return_exceptions=True)

    def _lock(self, conversation_id: str) -> asyncio.Lock:
        lock = self._locks.setdefault(conversation_id, asyncio.Lock())
        self._locks.move_to_end(conversation_id)
        if len(self._locks) > _MAX_LOCKS:
            self._locks.popitem(last=False)
        return lock


class _Turn:
    """One request on its way to a reply."""

    def __init__(
        self,
        session: Session,
        conversation: Conversation,
        caller: Caller,
        asked: Asked,
        stored: Callable[[Reply], None],
    ) -> None:
        self.session, self.conversation = session, conversation
        self.caller, self.asked, self.stored = caller, asked, stored
        self.turn_id, self.start = asked.turn_id, time.monotonic()
        self.began_ms = int(time.time() * 1000)
        self.keeping, self.kept = Lock(), ""  # the status that it is stored with
        self.ended_ms, self.remembered = 0, False
        self.steps: list[Step] = []
        self.attempts: list[Attempt] = []

    async def run(self, max_cents: float) -> AsyncGenerator[Step | Reply, None]:
        session, asked = self.session, self.asked
        engine = session.conversations.engine
        headers = {"traceparent": asked.traceparent} if asked.traceparent else {}
        trace = session.tracing.turn(headers)
        OUTGOING.set(trace.headers())
        session.metrics.running.inc()
        status = "failed"
        try:
            question = await self._question(trace, max_cents)
            async for event in session.assistant.answer(question, trace, self.attempts):
                if isinstance(event, Step):
                    self.steps.append(event)
                    yield event
                    continue
                entries = self._entries()
                reply = self._reply(event, trace, entries)
                if event.degraded:
                    session.metrics.degraded.inc()
                turn = replace(event.turn, turn_id=self.turn_id)
                await work(engine, self._keep, question.history, turn, reply, entries)
                self._follow_up(question, reply)
                status = "done"
                yield reply
        except (asyncio.CancelledError, GeneratorExit):
            if status != "done":
                self._store_broken_off(trace, "cancelled")
                status = self.kept
            raise
        except Exception:
            if self.attempts:  # what it cost is not lost with it
                self._store_broken_off(trace, status)
            raise
        finally:
            session.metrics.running.dec()
            self._observe(status, trace)

    async def _question(self, trace: TurnTrace, max_cents: float) -> Question:
        session, asked = self.session, self.asked
        with trace.part("features"):
            signals = await session.features.read(
                asked.user, self.conversation.conversation_id, deadline_s=session.config.features_s
            )
        if not (signals.history or (asked.user is None and signals.session.items)):
            signals = await work(session.features.engine, self._with_the_log, signals)
        notices = [*asked.notices, *self._notices(signals)]
        with trace.part("question"):
            return await session.questions.make(
                replace(asked, notices=tuple(notices)),
                self.conversation.turns,
                signals,
                caller=self.caller,
                max_cents=max_cents,
                began_s=self.start,
            )

    def _with_the_log(self, signals: Signals) -> Signals:
        """Where the features have no history, what the log of this assistant itself holds."""
        engine, user_id = self.session.features.engine, self.asked.user
        if user_id is not None:
            found = event_log.of_user(engine, user_id)
        else:
            found = event_log.of_session(engine, self.conversation.conversation_id)
        history = tuple((event.item_id, event.action, event.time_ms) for event in found)
        return replace(signals, history=history)

    def _notices(self, signals: Signals) -> list[str]:
        if (signals.late or signals.down) and self.asked.user:
            return [_LATE]
        if self.asked.user and not signals.history:
            return [f"Nothing is known of user {self.asked.user!r} yet: answered as for a new one."]
        return []

    def _reply(self, answer: Answer, trace: TurnTrace, entries: list[Entry]) -> Reply:
        items = shown_items(answer, self.session.catalogue)
        return replace(
            self._record(trace, entries),
            text=answer.text,
            items=items,
            notices=answer.notices,
            board=answer.board,
            status="done",
        )

    def _record(self, trace: TurnTrace, entries: list[Entry]) -> Reply:
        """What is told of the turn whatever came of it."""
        return Reply(
            id=self.turn_id,
            created=self.asked.created,
            conversation=self.conversation.conversation_id,
            question=self.asked.question,
            text="",
            items=(),
            steps=tuple(step_body(step) for step in self.steps),
            prompt_tokens=sum(step.prompt_tokens for step in self.steps),
            completion_tokens=sum(step.completion_tokens for step in self.steps),
            ms=round((time.monotonic() - self.start) * 1000, 1),
            cents=round(sum(entry.cents for entry in entries), 6),
            notices=(),
            trace=trace.trace_id,
            status="failed",
        )

    def _entries(self) -> list[Entry]:
        return accounting.entries(
            self.session.ledger,
            self.attempts,
            self.steps,
            self.turn_id,
            conversation_id=self.conversation.conversation_id,
            caller=self.caller.name,
            user_id=self.asked.user,
        )

    def _store_broken_off(self, trace: TurnTrace, status: str) -> None:
        entries = self._entries()
        record = replace(self._record(trace, entries), status=status)
        self._keep(self.conversation.turns, None, record, entries)

    def _keep(
        self, context: Sequence[Turn], turn: Turn | None, record: Reply, entries: list[Entry]
    ) -> None:
        """Store the turn once: a thread may be at it when the client leaves."""
        session = self.session
        with self.keeping:
            if self.kept:
                return
            self.kept = record.status
            session.ledger.record_turn(entries)
            self.ended_ms = int(time.time() * 1000)
            self.remembered = session.conversations.put(
                self.conversation, context, turn, record.record(), began_ms=self.began_ms
            )
            if not self.remembered and self._forgotten():
                self._forget()
            self.stored(record)

    def _forgotten(self) -> bool:
        """Whether the user was forgotten while this turn was under way."""
        return event_log.forgotten_since(
            self.session.features.engine, self.asked.user, self.began_ms
        )

    def _forget(self) -> None:
        """Take out what this turn left of a user: lines of the ledger, a board that it saved."""
        session, user = self.session, self.asked.user or ""
        session.ledger.forget_user(user)
        for step in self.steps:
            if step.tool != "board_save" or step.error:
                continue
            board = session.boards.same_title(user, str(step.arguments["title"]))
            if board is not None:
                session.boards.delete(board.board_id, user)

    def _follow_up(self, question: Question, reply: Reply) -> None:
        """What the user was shown and clicked, as events."""
        shown = [("impression", str(item["item_id"])) for item in reply.items]
        clicked = [("closeup", question.liked)] if question.liked else []
        events = [self._event(action, item_id) for action, item_id in [*clicked, *shown]]
        if events and self.remembered:
            self.session.later(self.session.features.record(events))

    def _event(self, action: str, item_id: str) -> LiveEvent:
        return LiveEvent(
            user_id=self.asked.user,
            session_id=self.conversation.conversation_id,
            item_id=item_id,
            action=action,
            surface="assistant",
            time_ms=self.ended_ms,  # the log leaves out what is older than its user's deletion
        )

    def _observe(self, status: str, trace: TurnTrace) -> None:
        metrics, seconds = self.session.metrics, time.monotonic() - self.start
        away_s = sum(step.ms + step.router_ms for step in self.steps) / 1000
        metrics.turns.labels(status).inc()
        metrics.turn_s.observe(seconds)
        metrics.overhead_s.observe(max(0.0, seconds - away_s))
        metrics.cents.inc(sum(step.cents for step in self.steps))
        for step in self.steps:
            metrics.tool_s.labels(_tool_label(step.tool), str(not step.error)).observe(
                step.ms / 1000
            )
            if step.backend:
                metrics.tokens.labels(step.backend, "prompt").inc(step.prompt_tokens)
                metrics.tokens.labels(step.backend, "completion").inc(step.completion_tokens)
        trace.end(status, {"turn.steps": len(self.steps), "turn.id": self.turn_id})


def _tool_label(tool: str) -> str:
    """A metric's label: names that a router made up must not become series."""
    return tool if tool in NATIVE else "other"
