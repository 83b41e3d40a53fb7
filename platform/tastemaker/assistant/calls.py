"""The calls in a router's reply."""

from collections.abc import Mapping
from typing import Any

from tastemaker.assistant.tools.situation import CallError
from tastemaker.assistant.turn import Call
from tastemaker.router import messages as codec


def parse(message: Mapping[str, Any], *, plain_text_answers: bool = False) -> list[Call]:
    """The calls of an assistant message, in its order.

    Args:
        message: As the OpenAI API gives it.
        plain_text_answers: A message without a call is an answer (a third party's model) rather
            than output that went wrong (our router ends a turn with a call of `answer`).

    Raises:
        CallError: No call, or arguments that are not a JSON object.
    """
    calls = message.get("tool_calls") or []
    said = str(message.get("content") or "").strip()
    if not calls and plain_text_answers and said:
        return [Call("answer", {"text": said})]
    if not calls:
        raise CallError("a router turn is a call, got none")
    found = []
    for call in calls:
        try:
            name, arguments = codec.read_call({"tool_calls": [call]})
        except (KeyError, TypeError, ValueError) as error:
            raise CallError(str(error)) from None
        found.append(Call(str(name), arguments))
    return found
