"""The calls in a router's reply."""

import json
from collections.abc import Mapping
from typing import Any

from tastemaker.assistant.tools.situation import CallError
from tastemaker.assistant.turn import Call
from tastemaker.router import messages as codec

_MAX_CALL_CHARS = 20_000
_MAX_REASON_CHARS = 300


def parse(
    message: Mapping[str, Any], *, max_calls: int, plain_text_answers: bool = False
) -> list[Call]:
    """The first calls of an assistant message, in its order.

    Args:
        message: As the OpenAI API gives it.
        max_calls: How many are read at most; what a router writes beyond them is not looked at.
        plain_text_answers: A message without a call is an answer (a third party's model) rather
            than output that went wrong (our router ends a turn with a call of `answer`).

    Raises:
        CallError: No call, or arguments that are not a JSON object: a number that is none, half a
            surrogate pair or a bottomless nest is no JSON that we could store or pass on.
    """
    calls = message.get("tool_calls") or []
    said = str(message.get("content") or "").strip()
    if not calls and plain_text_answers and said:
        return [_checked("answer", {"text": said})]
    if not calls:
        raise CallError("a router turn is a call, got none")
    found = []
    for call in calls[:max_calls]:
        try:
            name, arguments = codec.read_call({"tool_calls": [call]})
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise CallError(str(error)[:_MAX_REASON_CHARS]) from None
        found.append(_checked(str(name), arguments))
    return found


def _checked(name: str, arguments: Mapping[str, Any]) -> Call:
    try:
        written = json.dumps([name, arguments], ensure_ascii=False, allow_nan=False)
        written.encode()
    except (ValueError, RecursionError) as error:
        raise CallError(f"a call is JSON: {str(error)[:_MAX_REASON_CHARS]}") from None
    if len(written) > _MAX_CALL_CHARS or "\\u0000" in written:
        raise CallError(f"a call is at most {_MAX_CALL_CHARS} characters, none of them NUL")
    return Call(name, arguments)
