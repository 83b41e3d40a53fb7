"""The agent loop: router, tools, router, ..., answer.

A fault in a call is told to the router once; a second one, too many steps, too little time, too
many tokens or too much money end the turn with the last list that was found. A part that is down
never ends a turn without an answer: what can still be found is shown, with a notice. Item text
never reaches a router that reads vectors.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

from tastemaker.assistant.called import Called, bundles, noting
from tastemaker.assistant.calls import parse
from tastemaker.assistant.clients import RequestRefused, ServiceDown, Upstreams
from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.decision import Decision
from tastemaker.assistant.ledger import Attempt
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.providers.member import Routed
from tastemaker.assistant.providers.policy import NoBackend, Policy
from tastemaker.assistant.providers.request import RouterRequest
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.taste import Taste
from tastemaker.assistant.tools.native import Tools
from tastemaker.assistant.tools.registry import Registry
from tastemaker.assistant.tools.situation import CallError, Situation, ToolResult
from tastemaker.assistant.tracing import TurnTrace
from tastemaker.assistant.transcript import NATIVE, Transcript
from tastemaker.assistant.turn import Answer, Call, Question, Step
from tastemaker.core.errors import SpaceMismatch
from tastemaker.router import messages as codec
from tastemaker.router.tools import TOOLS, fault

_MAX_ECHO_CHARS = 300  # of output that was no call
_NO_PLAN = "The assistant cannot plan right now: these items match your words."
_LAST_RESORT_S = 2.0  # kept for finding something when the time of a turn is used up


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
        while not run.told.done and not run.out_of_budget():
            for step in await run.step():
                yield step
        with trace.part("answer"):
            answer = await run.end()
        yield answer


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
        self.situation = Situation(
            lists=[*earlier, *question.brought],
            user={"events": list(question.events)},
            prediction=None,
            remaining_s=self.remaining_s,
            notices=list(question.notices),
            user_id=question.user_id,
            signals=question.signals,
        )
        self.told = Transcript(question, self.situation, len(earlier), assistant.prices)
        self.system: list[dict[str, Any]] = []
        self.attempts = attempts
        self.router_steps = 0

    def remaining_s(self) -> float:
        return self.config.budget_s - (time.monotonic() - self.start)

    def out_of_budget(self) -> bool:
        """Whether the turn has to end; says why."""
        tokens = sum(step.prompt_tokens + step.completion_tokens for step in self.told.steps)
        cents = sum(step.cents for step in self.told.steps)
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
        self.told.notice(f"This turn's budget of {why} was used up.")
        return True

    async def meet_user(self) -> None:
        """Ask the recommender who this is; a stranger is served all the same."""
        if not self.question.events:
            return
        try:
            with noting(self.question.calls):
                self.situation.prediction = await self.assistant.upstreams.recommend(
                    self.situation.user, k=self.config.num_items, timeout_s=self.remaining_s()
                )
            user_U = self.situation.prediction.user_U
        except (ServiceDown, RequestRefused, SpaceMismatch):
            self.told.degraded = True
            self.told.notice("What is known of your taste is not available right now.")
            stored_U = self.assistant.taste.embedding(self.question.signals)
            if stored_U is None:
                return
            user_U = stored_U
        self.system = codec.system_message(user_U)

    async def step(self) -> list[Step]:
        """Ask the router once and do what it says."""
        await self.assistant.registry.look()
        self.router_steps += 1
        start = time.monotonic()
        try:
            with self.trace.part("router"), noting(self.question.calls) as asked:
                routed = await self._ask()
        except NoBackend:
            self.told.degraded = self.told.done = True
            self.told.notice(_NO_PLAN)
            return []
        decision = Decision(routed, _ms(start), asked)
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
            return [self.told.fault(step, error, None, said)]
        return await self.carry_out(calls, decision)

    async def _ask(self) -> Routed:
        earlier = [message for turn in self.question.history for message in turn.messages]
        request = RouterRequest(
            messages=[*self.system, *earlier, *self.told.messages],
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
        if len(finding) == 1:  # as nearly always: no task for it
            outcomes = [await self._execute(finding[0])]
        else:
            outcomes = await asyncio.gather(*(self._execute(call) for call in finding))
        steps: list[Step] = []
        for call, (result, ms, asked) in zip(finding, outcomes, strict=True):
            fields = decision.fields(first=not steps)
            fields["bundles"] = bundles([*decision.calls, *asked])
            steps.append(self.told.result(call, result, ms, fields))
        for call in over:
            error = CallError(f"at most {self.config.max_parallel} calls at once")
            fields = decision.fields(first=not steps)
            steps.append(
                self.told.fault(Step(call.name, call.arguments, 0.0, **fields), error, call)
            )
        if answers and not any(step.error for step in steps):
            fields = decision.fields(first=not steps)
            steps.append(self.told.answer(answers[0], fields))
        return steps

    async def _execute(self, call: Call) -> tuple[ToolResult | Exception, float, list[Called]]:
        start = time.monotonic()
        known = {tool["function"]["name"] for tool in self._tools()}  # a made-up one is a text
        name = call.name if call.name in known else "unknown"
        tool = self.trace.part("tool", **{"tool.name": name})
        with tool as part, noting(self.question.calls) as asked:
            result = await self._outcome(call)
            part.attributes["tool.ok"] = isinstance(result, ToolResult)
        return result, _ms(start), asked

    async def _outcome(self, call: Call) -> ToolResult | Exception:
        try:
            if call.name not in NATIVE and self.question.caller is not None:
                return await self.assistant.registry.call(
                    call.name, call.arguments, self.question.caller, timeout_s=self.remaining_s()
                )
            if wrong := fault(call.name, dict(call.arguments)):
                raise CallError(wrong)
            done = (Call(step.tool, step.arguments) for step in self.told.steps if not step.error)
            if call in done:
                raise CallError(f"{call.name}: the same call again; use answer")
            return await self.assistant.tools.execute(call.name, call.arguments, self.situation)
        except (CallError, ServiceDown, RequestRefused, SpaceMismatch) as error:
            return error

    async def end(self) -> Answer:
        """The answer, the router's own or the last resort."""
        told = self.told
        less = told.degraded or (told.faults > 1 and not told.new_lists())
        if less and not told.new_lists() and not told.shown and told.wants_items():
            await self._last_resort()
            told.shown = len(self.situation.lists) if told.new_lists() else 0
        if not told.text:
            told.say_what_was_found(less=less)
        return told.answered(ms=_ms(self.start))

    async def _last_resort(self) -> None:
        """What can still be found without the part that is down."""
        call = Call("search_items", {"query": self.question.text})
        tried = any(step.tool == call.name for step in self.told.steps)
        found: ItemList | None = None
        if not tried and self.question.text.strip():
            self.situation.remaining_s = lambda: _LAST_RESORT_S
            with noting(self.question.calls):
                result = await self._outcome(call)
            found = result.items if isinstance(result, ToolResult) else None
        if found is None or not len(found):
            found = self.assistant.tools.catalogue.by_words(
                self.question.text, self.config.num_items
            )
        if len(found):
            if not self.told.degraded:
                self.told.notice(_NO_PLAN)
            self.told.found(call, found)


def _ms(start: float) -> float:
    return round((time.monotonic() - start) * 1000, 1)
