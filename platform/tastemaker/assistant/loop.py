"""The agent loop: router, tool, router, ..., answer.

A fault in a call is told to the router once; a second one, too many steps or too little time end
the turn with the last list that was found. Item text never reaches the router: it sees vectors.
"""

import time
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from tastemaker.assistant.clients import (
    OutOfTime,
    RequestRefused,
    RouterReply,
    ServiceDown,
    Upstreams,
)
from tastemaker.assistant.conversation import Turn
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.tools.native import Tools
from tastemaker.assistant.tools.situation import (
    CallError,
    Situation,
    ToolResult,
    find_list,
)
from tastemaker.assistant.turn import Answer, Call, Question, Step
from tastemaker.router import messages as codec
from tastemaker.router.sentences import FOUND, NOTHING_FITS
from tastemaker.router.tools import TOOLS, fault

_MAX_ANSWER_CHARS = 2000
_MAX_ECHO_CHARS = 300  # of output that was no call


class Assistant:
    """The loop over the four servers.

    Args:
        tools: The executors.
        upstreams: The servers.
        config: Limits.
    """

    def __init__(self, tools: Tools, upstreams: Upstreams, config: AssistantConfig) -> None:
        self.tools, self.upstreams, self.config = tools, upstreams, config

    async def answer(self, question: Question) -> AsyncIterator[Step | Answer]:
        """Answer one question.

        Yields:
            Each step as it is done, then the answer.

        Raises:
            ServiceDown: A server that the turn needs is not available.
        """
        run = _Run(self, question)
        await run.meet_user()
        if question.first_call is not None:
            yield await run.carry_out(question.first_call, router_ms=0.0)
        while not run.done and run.router_steps < self.config.max_steps:
            if run.remaining_s() <= 0:
                run.situation.notices.append("The time for this turn was used up.")
                break
            step = await run.step()
            if step is not None:
                yield step
        yield run.end()


class _Run:
    """The state of one turn."""

    def __init__(self, assistant: Assistant, question: Question) -> None:
        self.assistant, self.question = assistant, question
        self.start = time.monotonic()
        earlier = [items for turn in question.history for items in turn.lists]
        self.num_earlier = len(earlier)
        self.situation = Situation(
            lists=[*earlier, *question.brought],
            user=question.user,
            prediction=None,
            remaining_s=self.remaining_s,
        )
        first = self.num_earlier + 1
        brought = [items.vectors_ND for items in question.brought]
        self.messages: list[Mapping[str, Any]] = [
            codec.user_message(question.said or question.text, dict(enumerate(brought, first)))
        ]
        self.kept = list(self.messages)  # without faults: what later turns are shown
        self.system: list[dict[str, Any]] = []
        self.steps: list[Step] = []
        self.tokens = [0, 0]
        self.router_steps = self.faults = 0
        self.done = False
        self.text, self.shown = "", 0  # shown: number of a list, 0 for none

    def remaining_s(self) -> float:
        return self.assistant.config.budget_s - (time.monotonic() - self.start)

    async def meet_user(self) -> None:
        """Ask the recommender who this is; a stranger is served all the same."""
        user = self.question.user
        if not user.get("user_id") and not user.get("events"):
            return
        k = self.assistant.config.num_items
        try:
            self.situation.prediction = await self.assistant.upstreams.recommend(
                user, k=k, timeout_s=self.remaining_s()
            )
        except RequestRefused as refused:
            notice = f"Unknown user {user.get('user_id')!r}: answered as for a new one."
            if "user_id" not in user:
                notice = f"This session's items were not used: {refused.reason}"
            self.situation.notices.append(notice)
            self.situation.user = {"events": []}
            return
        self.system = codec.system_message(self.situation.prediction.user_U)

    async def step(self) -> Step | None:
        """Ask the router once and do what it says; None when the time ran out meanwhile."""
        self.router_steps += 1
        start = time.monotonic()
        try:
            reply = await self._ask()
        except OutOfTime:
            if not self._new_lists():
                raise
            self.situation.notices.append("The time for this turn was used up.")
            self.done = True
            return None
        router_ms = _ms(start)
        self.tokens[0] += reply.prompt_tokens
        self.tokens[1] += reply.completion_tokens
        try:
            call = parse(reply.message)
        except CallError as error:
            said = codec.clean_text(str(reply.message.get("content") or ""))[:_MAX_ECHO_CHARS]
            step = Step("malformed", {"text": said}, 0.0, router_ms)
            return self._fault(step, error, None, said)
        return await self.carry_out(call, router_ms=router_ms)

    async def _ask(self) -> RouterReply:
        earlier = [message for turn in self.question.history for message in turn.messages]
        router = self.assistant.upstreams.router
        try:
            return await router.complete(
                [*self.system, *earlier, *self.messages],
                TOOLS,
                max_tokens=self.assistant.config.max_tokens,
                timeout_s=self.remaining_s(),
            )
        except RequestRefused as refused:
            raise ServiceDown(router.name, router.url, str(refused)) from None

    async def carry_out(self, call: Call, *, router_ms: float) -> Step:
        """Run one call and append it, with its result, to the messages."""
        start = time.monotonic()
        try:
            if wrong := fault(call.name, dict(call.arguments)):
                raise CallError(wrong)
            if call.name == "answer":
                return self._answer(call, router_ms)
            done = (Call(step.tool, step.arguments) for step in self.steps if not step.error)
            if call in done:
                raise CallError(f"{call.name}: the same call again; use answer")
            result = await self.assistant.tools.execute(call.name, call.arguments, self.situation)
        except CallError as error:
            step = Step(call.name, call.arguments, _ms(start), router_ms)
            return self._fault(step, error, call)
        except OutOfTime:
            if not self._new_lists():
                raise
            self.situation.notices.append("The time for this turn was used up.")
            self.done = True
            return self._add(Step(call.name, call.arguments, _ms(start), router_ms, error="time"))
        return self._result(call, result, _ms(start), router_ms)

    def _result(self, call: Call, result: ToolResult, ms: float, router_ms: float) -> Step:
        """Tell the router what came of a call: a list by its vectors, or words."""
        call_id, number = _call_id(), len(self.situation.lists) + 1
        self._keep(codec.assistant_message(call_id, call.name, call.arguments))
        found = result.items
        if found is None or not len(found):
            told = [{"type": "text", "text": codec.clean_text(result.text) or codec.NOTHING}]
            self._keep({"role": "tool", "tool_call_id": call_id, "content": told})
            return self._add(Step(call.name, call.arguments, ms, router_ms))
        self._keep(codec.tool_message(call_id, number, found.vectors_ND))
        self.situation.lists.append(found)
        return self._add(Step(call.name, call.arguments, ms, router_ms, len(found), f"@{number}"))

    def _answer(self, call: Call, router_ms: float) -> Step:
        text, items = call.arguments["text"], call.arguments.get("items")
        if not text.strip():
            raise CallError("answer.text is empty")
        if items is not None:
            listed = find_list(items, self.situation.lists)
            self.shown = next(n for n, x in enumerate(self.situation.lists, 1) if x is listed)
        elif self._new_lists():
            self.shown = len(self.situation.lists)
        self.text, self.done = text.strip()[:_MAX_ANSWER_CHARS], True
        self._keep(codec.assistant_message(_call_id(), "answer", call.arguments))
        num_items = len(self.situation.lists[self.shown - 1]) if self.shown else 0
        handle = str(items or "")
        return self._add(Step("answer", call.arguments, 0.0, router_ms, num_items, handle))

    def _fault(self, step: Step, error: CallError, call: Call | None, said: str = "") -> Step:
        """Tell the router what was wrong; the second time, end the turn."""
        self.faults += 1
        self.done = self.faults > 1
        call_id = _call_id()
        was = {"role": "assistant", "content": said}
        if call is not None:
            was = codec.assistant_message(call_id, call.name, call.arguments)
        told = [{"type": "text", "text": codec.clean_text(f"error: {error}")}]
        self.messages += [was, {"role": "tool", "tool_call_id": call_id, "content": told}]
        return self._add(Step(**{**vars(step), "error": str(error)}))

    def _keep(self, message: Mapping[str, Any]) -> None:
        self.messages.append(message)
        self.kept.append(message)

    def _add(self, step: Step) -> Step:
        self.steps.append(step)
        return step

    def _new_lists(self) -> bool:
        return len(self.situation.lists) > self.num_earlier + len(self.question.brought)

    def end(self) -> Answer:
        """The answer, the router's own or the last resort."""
        if not self.text:
            self.shown = len(self.situation.lists) if self._new_lists() else 0
            self.text = FOUND if self.shown else NOTHING_FITS
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
            prompt_tokens=self.tokens[0],
            completion_tokens=self.tokens[1],
            notices=tuple(dict.fromkeys(self.situation.notices)),
            ms=_ms(self.start),
        )


def parse(message: Mapping[str, Any]) -> Call:
    """The call in an assistant message.

    Raises:
        CallError: No call, or arguments that are not a JSON object.
    """
    try:
        name, arguments = codec.read_call(dict(message))
    except (KeyError, TypeError, ValueError) as error:
        raise CallError(str(error)) from None
    return Call(str(name), arguments)


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex[:12]}"


def _ms(start: float) -> float:
    return round((time.monotonic() - start) * 1000, 1)
