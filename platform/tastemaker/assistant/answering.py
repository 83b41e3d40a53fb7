"""One request on its way to a reply."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING

from tastemaker.assistant import accounting
from tastemaker.assistant.asked import Asked
from tastemaker.assistant.called import Called, bundles, noting
from tastemaker.assistant.conversation import Turn
from tastemaker.assistant.conversation_store import Conversation
from tastemaker.assistant.identity import Caller
from tastemaker.assistant.keeping import Left
from tastemaker.assistant.ledger import Attempt, Entry
from tastemaker.assistant.reply import Reply, shown_items, step_body
from tastemaker.assistant.tracing import OUTGOING, TurnTrace
from tastemaker.assistant.transcript import NATIVE
from tastemaker.assistant.turn import Answer, Question, Step
from tastemaker.core.database import work, work_to_its_end
from tastemaker.data import event_log
from tastemaker.features.signals import Signals

if TYPE_CHECKING:
    from tastemaker.assistant.session import Session

_LATE = "What is known of you is not available right now: answered without it."


class Answering:
    """One request on its way to a reply.

    Args:
        session: The parts that answer.
        conversation: That it goes on with.
        caller: Who asks.
        asked: What.
        stored: Called once the turn is stored, well or not.
    """

    def __init__(
        self,
        session: "Session",
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
        self.steps: list[Step] = []
        self.attempts: list[Attempt] = []
        self.calls: list[Called] = []  # to model servers

    async def run(self, max_cents: float) -> AsyncGenerator[Step | Reply, None]:
        """Each step as it is done, then the reply; what was done is stored whatever comes."""
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
                await work(
                    engine, self._keep, question.history, turn, reply, entries, question.liked
                )
                status = "done"
                yield reply
        except (asyncio.CancelledError, GeneratorExit):
            if status != "done":
                status = "cancelled"
                await self._store_broken_off(trace, status)
                status = self.kept
            raise
        except Exception:
            if self.attempts:  # what it cost is not lost with it
                await self._store_broken_off(trace, status)
            raise
        finally:
            session.metrics.running.dec()
            seconds = time.monotonic() - self.start
            session.tracing.soon(partial(self._observe, status, seconds))
            trace.end(status, {"turn.steps": len(self.steps), "turn.id": self.turn_id})

    async def _question(self, trace: TurnTrace, max_cents: float) -> Question:
        session, asked = self.session, self.asked
        with trace.part("features"):
            signals = await session.features.read(
                asked.user, self.conversation.conversation_id, deadline_s=session.config.features_s
            )
        if not (signals.history or (asked.user is None and signals.session.items)):
            signals = await work(session.features.engine, self._with_the_log, signals)
        notices = [*asked.notices, *self._notices(signals)]
        with trace.part("question"), noting(self.calls):
            return await session.questions.make(
                replace(asked, notices=tuple(notices)),
                self.conversation.turns,
                signals,
                caller=self.caller,
                max_cents=max_cents,
                began_s=self.start,
                calls=self.calls,
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
            return ["Nothing is known of you yet: answered as for somebody new."]
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
            bundles=bundles(self.calls),
            calls=tuple(call.body() for call in self.calls),
            versions=self.session.versions(),
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

    async def _store_broken_off(self, trace: TurnTrace, status: str) -> None:
        """Store what was done; a client that leaves is said to have left more than once."""
        engine, entries = self.session.conversations.engine, self._entries()
        record = replace(self._record(trace, entries), status=status)
        await work_to_its_end(engine, self._keep, self.conversation.turns, None, record, entries)

    def _keep(
        self,
        context: Sequence[Turn],
        turn: Turn | None,
        record: Reply,
        entries: list[Entry],
        liked: str = "",
    ) -> None:
        """Store the turn once: a thread may be at it when the client leaves."""
        with self.keeping:
            if self.kept:
                return
            self.kept = record.status
            self.session.keeper.keep(
                Left(
                    self.conversation,
                    self.caller.name,
                    context,
                    turn,
                    record,
                    entries,
                    self.began_ms,
                    liked,
                )
            )
            self.stored(record)

    def _observe(self, status: str, seconds: float) -> None:
        metrics = self.session.metrics
        away_s = sum(step.ms + step.router_ms for step in self.steps) / 1000
        metrics.turns.labels(status).inc()
        metrics.turn_s.observe(seconds)
        metrics.overhead_s.observe(max(0.0, seconds - away_s))
        metrics.cents.inc(sum(step.cents for step in self.steps))
        metrics.answered.count(self.calls)
        for step in self.steps:
            metrics.tool_s.labels(_tool_label(step.tool), str(not step.error)).observe(
                step.ms / 1000
            )
            if step.backend:
                metrics.tokens.labels(step.backend, "prompt").inc(step.prompt_tokens)
                metrics.tokens.labels(step.backend, "completion").inc(step.completion_tokens)


def _tool_label(tool: str) -> str:
    """A metric's label: names that a router made up must not become series."""
    return tool if tool in NATIVE else "other"
