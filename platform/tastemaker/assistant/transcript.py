"""What a turn has said and done so far: the router's messages, the steps, what is shown."""

import uuid
from collections.abc import Mapping
from typing import Any

from tastemaker.assistant.accounting import tool_cents
from tastemaker.assistant.clients import OutOfTime
from tastemaker.assistant.conversation import ItemList, Turn
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.tools.registry import ToolFailed
from tastemaker.assistant.tools.situation import CallError, Situation, ToolResult, find_list
from tastemaker.assistant.turn import Answer, Call, Question, Step
from tastemaker.router import messages as codec
from tastemaker.router.sentences import CLOSE, FOUND, NOTHING_FITS
from tastemaker.router.tools import TOOLS
from tastemaker.router.tools import fault as fault_of

_MAX_ANSWER_CHARS = 2000
_DOWN = "not available"  # how the error of a step begins whose tool was
NATIVE = {tool["function"]["name"] for tool in TOOLS}


class Transcript:
    """The transcript of one turn.

    Args:
        question: What is asked.
        situation: Lists and notices, shared with the tools.
        num_earlier: Lists of earlier turns in it.
        prices: Of the native tools' work.
    """

    def __init__(
        self, question: Question, situation: Situation, num_earlier: int, prices: Prices
    ) -> None:
        self.question, self.situation, self.prices = question, situation, prices
        self.num_earlier, first = num_earlier, num_earlier + 1
        brought = [items.vectors_ND for items in question.brought]
        self.messages: list[Mapping[str, Any]] = [
            codec.user_message(question.said or question.text, dict(enumerate(brought, first)))
        ]
        self.kept = list(self.messages)  # without faults: what later turns are shown
        self.steps: list[Step] = []
        self.faults = 0
        self.done = self.degraded = False
        self.text, self.shown, self.board = "", 0, ""  # shown: number of a list, 0 for none

    def notice(self, text: str) -> None:
        """Tell the user something besides the answer."""
        self.situation.notices.append(text)

    def result(
        self, call: Call, result: ToolResult | Exception, ms: float, decided: dict[str, Any]
    ) -> Step:
        """Tell the router what came of a call: a list by its vectors, words, or a fault."""
        charged = result.cents if isinstance(result, ToolResult) else 0.0
        worked = tool_cents(self.prices)
        cents = decided.pop("cents", 0.0) + charged + worked
        step = Step(call.name, call.arguments, ms, cents=cents, charged_cents=charged, **decided)
        if isinstance(result, ToolFailed):
            self.notice(result.notice)
        if isinstance(result, CallError):
            return self.fault(step, result, call)
        if isinstance(result, Exception):
            return self._down(step, result, call)
        self.board = result.title or self.board
        if found := result.items:
            return self._add(_with(step, num_items=len(found), list=f"@{self.found(call, found)}"))
        call_id = _call_id()
        self._keep(codec.assistant_message(call_id, call.name, call.arguments))
        told = [{"type": "text", "text": codec.clean_text(result.text) or codec.NOTHING}]
        self._keep({"role": "tool", "tool_call_id": call_id, "content": told})
        return self._add(step)

    def answer(self, call: Call, decided: dict[str, Any]) -> Step:
        """The router's answer, which ends the turn; a fault where it is none."""
        step = Step("answer", call.arguments, 0.0, **decided)
        try:
            if wrong := fault_of("answer", dict(call.arguments)):
                raise CallError(wrong)
            text, items = call.arguments["text"], call.arguments.get("items")
            if not text.strip():
                raise CallError("answer.text is empty")
            if items is not None:
                listed = find_list(items, self.situation.lists)
                self.shown = next(n for n, x in enumerate(self.situation.lists, 1) if x is listed)
            elif self.new_lists():
                self.shown = len(self.situation.lists)
        except CallError as error:
            return self.fault(step, error, call)
        self.text, self.done = text.strip()[:_MAX_ANSWER_CHARS], True
        self._keep(codec.assistant_message(_call_id(), "answer", call.arguments))
        num_items = len(self.situation.lists[self.shown - 1]) if self.shown else 0
        return self._add(_with(step, num_items=num_items, list=str(items or "")))

    def fault(self, step: Step, error: CallError, call: Call | None, said: str = "") -> Step:
        """Tell the router what was wrong; the second time, end the turn."""
        self.faults += 1
        self.done = self.done or self.faults > 1
        self._told_error(str(error), call, said)
        return self._add(_with(step, error=str(error)))

    def _down(self, step: Step, error: Exception, call: Call) -> Step:
        """A tool that is not available: the user hears of it, the router may try another."""
        self.degraded = True
        if isinstance(error, OutOfTime) and self.situation.remaining_s() <= 0:
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

    def new_lists(self) -> bool:
        """Whether this turn found a list."""
        return len(self.situation.lists) > self.num_earlier + len(self.question.brought)

    def wants_items(self) -> bool:
        """Whether the router has no answer, or one that a tool let down."""
        return not self.text or any(step.error.startswith(_DOWN) for step in self.steps)

    def found(self, call: Call, items: ItemList) -> int:
        """A call that found items: the router is told their vectors; the list's number."""
        call_id, number = _call_id(), len(self.situation.lists) + 1
        self._keep(codec.assistant_message(call_id, call.name, call.arguments))
        self._keep(codec.tool_message(call_id, number, items.vectors_ND))
        self.situation.lists.append(items)
        return number

    def say_what_was_found(self, *, less: bool) -> None:
        """An answer where the router gave none."""
        self.shown = len(self.situation.lists) if self.new_lists() else 0
        self.text = (CLOSE if less else FOUND) if self.shown else NOTHING_FITS
        arguments = {"text": self.text} | ({"items": f"@{self.shown}"} if self.shown else {})
        self._keep(codec.assistant_message(_call_id(), "answer", arguments))

    def answered(self, *, ms: float) -> Answer:
        """The answer of a turn that took so many milliseconds."""
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
            ms=ms,
            board=self.board,
            degraded=self.degraded,
        )


def _with(step: Step, **changes: Any) -> Step:
    return Step(**{**vars(step), **changes})


def _call_id() -> str:
    return f"call_{uuid.uuid4().hex[:12]}"
