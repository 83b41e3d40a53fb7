"""The agent loop: router, tools, router, ..., answer.

A fault in a call is told to the router once; a second one, too many steps, too little time, too
many tokens or too much money end the turn with the last list that was found. A part that is down
never ends a turn without an answer: what can still be found is shown, with a notice. Item text
never reaches a router that reads vectors.
"""

import asyncio
import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from tastemaker.assistant.accounting import tool_cents
from tastemaker.assistant.calls import parse
from tastemaker.assistant.clients import OutOfTime, RequestRefused, ServiceDown, Upstreams
from tastemaker.assistant.conversation import ItemList, Turn
from tastemaker.assistant.ledger import Attempt
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.providers.member import Routed
from tastemaker.assistant.providers.policy import NoBackend, Policy
from tastemaker.assistant.providers.request import RouterRequest
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.taste import Taste
from tastemaker.assistant.tools.native import Tools
from tastemaker.assistant.tools.registry import Registry, ToolFailed
from tastemaker.assistant.tools.situation import CallError, Situation, ToolResult, find_list
from tastemaker.assistant.tracing import TurnTrace
from tastemaker.assistant.turn import Answer, Call, Question, Step
from tastemaker.core.errors import SpaceMismatch
from tastemaker.router import messages as codec
from tastemaker.router.sentences import CLOSE, FOUND, NOTHING_FITS
from tastemaker.router.tools import TOOLS, fault

_MAX_ANSWER_CHARS = 2000
_MAX_ECHO_CHARS = 300  # of output that was no call
_DOWN = "not available"  # how the error of a step begins whose tool was
_NO_PLAN = "The assistant cannot plan right now: these items match your words."
_LAST_RESORT_S = 2.0  # kept for finding something when the time of a turn is used up
NATIVE = {tool["function"]["name"] for tool in TOOLS}


class Assistant:
    """The loop over router, tools and model servers.

    Args:
        tools: The native tools.
        registry: Tools that an operator added.
        upstreams: The model servers.
        policy: The router family.
        config: Limits.
        taste: The user embedding to use where the recommender gives none.
        prices: Of the native tools' work.
    """

    def __init__(
        self,
        tools: Tools,
        registry: Registry,
        upstreams: Upstreams,
        policy: Policy,
        config: AssistantConfig,
        taste: Taste,
        prices: Prices,
    ) -> None:
        self.tools, self.registry, self.upstreams = tools, registry, upstreams
        self.policy, self.config, self.taste, self.prices = policy, config, taste, prices

    async def answer(
        self, question: Question, trace: TurnTrace, attempts: list[Attempt] | None = None
    ) -> AsyncGenerator[Step | Answer, None]:
        """Answer one question.

        Args:
            question: What is asked, and of what.
            trace: The turn's spans.
            attempts: Where requests to routers are added as they end, for whoever accounts for a
                turn that is broken off.

        Yields:
            Each step as it is done, then the answer. A fault ends in an answer too.
        """
        run = _Run(self, question, trace, [] if attempts is None else attempts)
        with trace.part("user"):
            await run.meet_user()
        if question.first_call is not None:
            for step in await run.carry_out([question.first_call], Decision()):
                yield step
        while not run.done and not run.out_of_budget():
            for step in await run.step():
                yield step
        with trace.part("answer"):
            answer = await run.end()
        yield answer


class Decision:
    """What the router took to decide on the calls at hand.

    Args:
        routed: Its reply, None for a step of the page's.
        ms: Milliseconds that it took.
    """

    def __init__(self, routed: Routed | None = None, ms: float = 0.0) -> None:
        self.routed, self.ms = routed, ms

    def fields(self, *, first: bool) -> dict[str, Any]:
        """What a step says of it; the calls made at once count it once."""
        if self.routed is None:
            return {"router_ms": 0.0}
        if not first:
            return {"router_ms": 0.0, "backend": self.routed.member}
        attempts = self.routed.attempts
        return {
            "router_ms": self.ms,
            "backend": self.routed.member,
            "prompt_tokens": sum(attempt.prompt_tokens for attempt in attempts),
            "completion_tokens": sum(attempt.completion_tokens for attempt in attempts),
            "cents": self.routed.cents,
        }


class _Run:
    """The state of one turn."""

    def __init__(
        self,
        assistant: Assistant,
        question: Question,
        trace: TurnTrace,
        attempts: list[Attempt],
    ) -> None:
        self.assistant, self.question, self.trace = assistant, question, trace
        self.config = assistant.config
        self.start = question.began_s
        earlier = [items for turn in question.history for items in turn.lists]
        self.num_earlier = len(earlier)
        self.situation = Situation(
            lists=[*earlier, *question.brought],
            user={"events": list(question.events)},
            prediction=None,
            remaining_s=self.remaining_s,
            notices=list(question.notices),
            user_id=question.user_id,
            signals=question.signals,
        )
        first = self.num_earlier + 1
        brought = [items.vectors_ND for items in question.brought]
        self.messages: list[Mapping[str, Any]] = [
            codec.user_message(question.said or question.text, dict(enumerate(brought, first)))
        ]
        self.kept = list(self.messages)  # without faults: what later turns are shown
        self.system: list[dict[str, Any]] = []
        self.steps: list[Step] = []
        self.attempts = attempts
        self.router_steps = self.faults = 0
        self.done = self.degraded = False
        self.text, self.shown, self.board = "", 0, ""  # shown: number of a list, 0 for none

    def remaining_s(self) -> float:
        return self.config.budget_s - (time.monotonic() - self.start)

    def out_of_budget(self) -> bool:
        """Whether the turn has to end; says why."""
        tokens = sum(step.prompt_tokens + step.completion_tokens for step in self.steps)
        cents = sum(step.cents for step in self.steps)
        if self.router_steps >= self.config.max_steps:
            why = f"{self.config.max_steps} steps"
        elif self.remaining_s() <= 0:
            why = f"{self.config.budget_s:g} seconds"
        elif tokens >= self.config.max_turn_tokens:
            why = f"{self.config.max_turn_tokens} tokens"
        elif cents >= (limit := min(self.config.max_turn_cents, self.question.max_cents)):
            why = f"{limit:.2g} cents"
        else:
            return False
        self.notice(f"This turn's budget of {why} was used up.")
        return True

    def notice(self, text: str) -> None:
        self.situation.notices.append(text)

    async def meet_user(self) -> None:
        """Ask the recommender who this is; a stranger is served all the same."""
        if not self.question.events:
            return
        try:
            self.situation.prediction = await self.assistant.upstreams.recommend(
                self.situation.user, k=self.config.num_items, timeout_s=self.remaining_s()
            )
            user_U = self.situation.prediction.user_U
        except (ServiceDown, RequestRefused):
            self.degraded = True
            self.notice("What is known of your taste is not available right now.")
            stored_U = self.assistant.taste.embedding(self.question.signals)
            if stored_U is None:
                return
            user_U = stored_U
        self.system = codec.system_message(user_U)

    async def step(self) -> list[Step]:
        """Ask the router once and do what it says."""
        self.router_steps += 1
        start = time.monotonic()
        try:
            with self.trace.part("router"):
                routed = await self._ask()
        except NoBackend:
            self.degraded = self.done = True
            self.notice(_NO_PLAN)
            return []
        decision = Decision(routed, _ms(start))
        own = self.assistant.policy.member(routed.member).backend.reads_vectors
        try:
            calls = parse(
                routed.reply.message,
                max_calls=self.config.max_parallel + 1,  # an answer beside them, or one too many
                plain_text_answers=not own,
            )
        except CallError as error:
            said = codec.clean_text(str(routed.reply.message.get("content") or ""))
            said = said[:_MAX_ECHO_CHARS]
            step = Step("malformed", {"text": said}, 0.0, **decision.fields(first=True))
            return [self._fault(step, error, None, said)]
        return await self.carry_out(calls, decision)

    async def _ask(self) -> Routed:
        earlier = [message for turn in self.question.history for message in turn.messages]
        request = RouterRequest(
            messages=[*self.system, *earlier, *self.messages],
            tools=self._tools(),
            lists=tuple(self.situation.lists),
            describe=self.assistant.tools.catalogue.describe,
            user_text=self.assistant.taste.in_words(self.question.signals),
            max_tokens=self.config.max_tokens,
        )
        return await self.assistant.policy.complete(
            request, timeout_s=self.remaining_s(), attempts=self.attempts
        )

    def _tools(self) -> list[dict[str, Any]]:
        caller = self.question.caller
        added = self.assistant.registry.schemas(caller) if caller is not None else []
        return [*TOOLS, *added]

    async def carry_out(self, calls: list[Call], decision: Decision) -> list[Step]:
        """Run the calls at once and append each, with its result, in their order."""
        finding = [call for call in calls if call.name != "answer"]
        answers = [call for call in calls if call.name == "answer"]
        over = finding[self.config.max_parallel :]
        finding = finding[: self.config.max_parallel]
        outcomes = await asyncio.gather(*(self._execute(call) for call in finding))
        steps: list[Step] = []
        for call, (result, ms) in zip(finding, outcomes, strict=True):
            fields = decision.fields(first=not steps)
            steps.append(self._result(call, result, ms, fields))
        for call in over:
            error = CallError(f"at most {self.config.max_parallel} calls at once")
            fields = decision.fields(first=not steps)
            steps.append(self._fault(Step(call.name, call.arguments, 0.0, **fields), error, call))
        if answers and not any(step.error for step in steps):
            fields = decision.fields(first=not steps)
            steps.append(self._answer(answers[0], fields))
        return steps

    async def _execute(self, call: Call) -> tuple[ToolResult | Exception, float]:
        start = time.monotonic()
        known = {tool["function"]["name"] for tool in self._tools()}  # a made-up one is a text
        name = call.name if call.name in known else "unknown"
        with self.trace.part("tool", **{"tool.name": name}) as span:
            result = await self._outcome(call)
            span.set_attribute("tool.ok", isinstance(result, ToolResult))
        return result, _ms(start)

    async def _outcome(self, call: Call) -> ToolResult | Exception:
        try:
            if call.name not in NATIVE and self.question.caller is not None:
                return await self.assistant.registry.call(
                    call.name, call.arguments, self.question.caller, timeout_s=self.remaining_s()
                )
            if wrong := fault(call.name, dict(call.arguments)):
                raise CallError(wrong)
            done = (Call(step.tool, step.arguments) for step in self.steps if not step.error)
            if call in done:
                raise CallError(f"{call.name}: the same call again; use answer")
            return await self.assistant.tools.execute(call.name, call.arguments, self.situation)
        except (CallError, ServiceDown, RequestRefused, SpaceMismatch) as error:
            return error

    def _result(
        self, call: Call, result: ToolResult | Exception, ms: float, decided: dict[str, Any]
    ) -> Step:
        """Tell the router what came of a call: a list by its vectors, words, or a fault."""
        charged = result.cents if isinstance(result, ToolResult) else 0.0
        worked = tool_cents(self.assistant.prices)
        cents = decided.pop("cents", 0.0) + charged + worked
        step = Step(call.name, call.arguments, ms, cents=cents, charged_cents=charged, **decided)
        if isinstance(result, ToolFailed):
            self.notice(result.notice)
        if isinstance(result, CallError):
            return self._fault(step, result, call)
        if isinstance(result, Exception):
            return self._down(step, result, call)
        call_id, number = _call_id(), len(self.situation.lists) + 1
        self._keep(codec.assistant_message(call_id, call.name, call.arguments))
        self.board = result.title or self.board
        found = result.items
        if found is None or not len(found):
            told = [{"type": "text", "text": codec.clean_text(result.text) or codec.NOTHING}]
            self._keep({"role": "tool", "tool_call_id": call_id, "content": told})
            return self._add(step)
        self._keep(codec.tool_message(call_id, number, found.vectors_ND))
        self.situation.lists.append(found)
        return self._add(_with(step, num_items=len(found), list=f"@{number}"))

    def _answer(self, call: Call, decided: dict[str, Any]) -> Step:
        step = Step("answer", call.arguments, 0.0, **decided)
        try:
            if wrong := fault("answer", dict(call.arguments)):
                raise CallError(wrong)
            text, items = call.arguments["text"], call.arguments.get("items")
            if not text.strip():
                raise CallError("answer.text is empty")
            if items is not None:
                listed = find_list(items, self.situation.lists)
                self.shown = next(n for n, x in enumerate(self.situation.lists, 1) if x is listed)
            elif self._new_lists():
                self.shown = len(self.situation.lists)
        except CallError as error:
            return self._fault(step, error, call)
        self.text, self.done = text.strip()[:_MAX_ANSWER_CHARS], True
        self._keep(codec.assistant_message(_call_id(), "answer", call.arguments))
        num_items = len(self.situation.lists[self.shown - 1]) if self.shown else 0
        return self._add(_with(step, num_items=num_items, list=str(items or "")))

    def _fault(self, step: Step, error: CallError, call: Call | None, said: str = "") -> Step:
        """Tell the router what was wrong; the second time, end the turn."""
        self.faults += 1
        self.done = self.done or self.faults > 1
        self._told_error(str(error), call, said)
        return self._add(_with(step, error=str(error)))

    def _down(self, step: Step, error: Exception, call: Call) -> Step:
        """A tool that is not available: the user hears of it, the router may try another."""
        self.degraded = True
        if isinstance(error, OutOfTime) and self.remaining_s() <= 0:
            self.done = True
            self.notice("The time for this turn was used up.")
            return self._add(_with(step, error="time"))
        self.faults += 1
        self.done = self.done or self.faults > 1
        self.notice(f"{call.name} is not available right now.")
        self._told_error(f"{call.name} is not available", call, "")
        return self._add(_with(step, error=f"{_DOWN}: {error}"))

    def _told_error(self, text: str, call: Call | None, said: str) -> None:
        call_id = _call_id()
        was = {"role": "assistant", "content": said}
        if call is not None:
            was = codec.assistant_message(call_id, call.name, call.arguments)
        # "error:" is this platform's own word; what a foreign tool says is quoted as data
        ours = call is None or call.name in NATIVE
        said_of_it = codec.clean_text(f"{'error' if ours else 'failed'}: {text}")
        told = [{"type": "text", "text": said_of_it}]
        self.messages += [was, {"role": "tool", "tool_call_id": call_id, "content": told}]

    def _keep(self, message: Mapping[str, Any]) -> None:
        self.messages.append(message)
        self.kept.append(message)

    def _add(self, step: Step) -> Step:
        self.steps.append(step)
        return step

    def _new_lists(self) -> bool:
        return len(self.situation.lists) > self.num_earlier + len(self.question.brought)

    async def end(self) -> Answer:
        """The answer, the router's own or the last resort."""
        less = self.degraded or (self.faults > 1 and not self._new_lists())
        if less and not self._new_lists() and not self.shown and self._wants_items():
            await self._last_resort()
            self.shown = len(self.situation.lists) if self._new_lists() else 0
        if not self.text:
            self.shown = len(self.situation.lists) if self._new_lists() else 0
            self.text = (CLOSE if less else FOUND) if self.shown else NOTHING_FITS
            arguments = {"text": self.text} | ({"items": f"@{self.shown}"} if self.shown else {})
            self._keep(codec.assistant_message(_call_id(), "answer", arguments))
        lists, shown = self.situation.lists, self.shown
        turn = Turn(
            question=self.question.text,
            messages=tuple(self.kept),
            lists=tuple(lists[self.num_earlier :]),
            shown=shown - self.num_earlier - 1 if shown > self.num_earlier else None,
            liked=self.question.liked,
        )
        return Answer(
            text=self.text,
            shown=lists[shown - 1] if shown else None,
            handle=f"@{shown}" if shown else "",
            turn=turn,
            steps=tuple(self.steps),
            notices=tuple(dict.fromkeys(self.situation.notices)),
            ms=_ms(self.start),
            board=self.board,
            degraded=self.degraded,
        )

    def _wants_items(self) -> bool:
        """Whether the router has no answer, or one that a tool let down."""
        return not self.text or any(step.error.startswith(_DOWN) for step in self.steps)

    async def _last_resort(self) -> None:
        """What can still be found without the part that is down."""
        call = Call("search_items", {"query": self.question.text})
        tried = any(step.tool == call.name for step in self.steps)
        found: ItemList | None = None
        if not tried and self.question.text.strip():
            self.situation.remaining_s = lambda: _LAST_RESORT_S
            result = await self._outcome(call)
            found = result.items if isinstance(result, ToolResult) else None
        if found is None or not len(found):
            found = self.assistant.tools.catalogue.by_words(
                self.question.text, self.config.num_items
            )
        if len(found):
            if not self.degraded:
                self.notice(_NO_PLAN)
            call_id, number = _call_id(), len(self.situation.lists) + 1
            self._keep(codec.assistant_message(call_id, call.name, call.arguments))
            self._keep(codec.tool_message(call_id, number, found.vectors_ND))
            self.situation.lists.append(found)


def _with(step: Step, **changes: Any) -> Step:
    return Step(**{**vars(step), **changes})


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex[:12]}"


def _ms(start: float) -> float:
    return round((time.monotonic() - start) * 1000, 1)
