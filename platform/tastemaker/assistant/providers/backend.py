"""The interface of a router back end, its faults, and the check of what it replies."""

import json
from collections.abc import Mapping
from typing import Any, Literal, Protocol

from tastemaker.assistant.providers.request import RouterReply, RouterRequest
from tastemaker.core.errors import ServiceError

FaultKind = Literal["connection", "timeout", "server", "limited", "refused", "access", "garbage"]
_MAX_TOKENS = 10**9  # that a reply can claim


class BackendFault(ServiceError):
    """A back end that gave no usable reply.

    Attributes:
        kind: connection (none, or lost), timeout, server (5xx), limited (429), refused (the
            request is wrong: 4xx), access (401, 403, 404: a setting of ours is wrong), garbage.
        retry_after_s: How long it asked to be left alone, None where it did not say.
        reply: A garbage reply that can at least be read: its calls do not fit.
    """

    def __init__(
        self,
        name: str,
        kind: FaultKind,
        reason: str,
        *,
        retry_after_s: float | None = None,
        reply: RouterReply | None = None,
    ) -> None:
        super().__init__(f"{name}: {reason}")
        self.kind: FaultKind = kind
        self.retry_after_s, self.reply = retry_after_s, reply


class Backend(Protocol):
    """Something that decides the next step of a conversation.

    Attributes:
        name: Of the member, as the policy and the ledger know it.
        model: The model's name at its endpoint.
        reads_vectors: True where item and user vectors are read as they are.
    """

    name: str
    model: str
    reads_vectors: bool

    async def complete(self, request: RouterRequest, *, timeout_s: float) -> RouterReply:
        """One step.

        Raises:
            BackendFault: No answer in time, an error, or a reply of another form.
        """
        ...

    async def ready(self) -> str:
        """An empty string when it can be asked, else why not."""
        ...


def read_reply(name: str, body: Mapping[str, Any]) -> RouterReply:
    """The assistant message and the token counts of a chat completion.

    Raises:
        BackendFault: The body holds no assistant message.
    """
    try:
        message, usage = body["choices"][0]["message"], body.get("usage") or {}
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        reply = RouterReply(
            dict(message),
            _count(usage.get("prompt_tokens")),
            _count(usage.get("completion_tokens")),
            _count(cached),
        )
    except (KeyError, IndexError, TypeError, ValueError, OverflowError, AttributeError):
        raise BackendFault(name, "garbage", "its reply holds no message") from None
    return reply


def check_reply(name: str, reply: RouterReply, request: RouterRequest) -> None:
    """Refuse a reply that cannot be acted on.

    Raises:
        BackendFault: Neither text nor calls, or a call of an unknown tool or without a JSON
            object of arguments.
    """
    wrong = _fault(reply.message, request.tool_names())
    if wrong:
        readable = reply if isinstance(reply.message.get("tool_calls"), list) else None
        raise BackendFault(name, "garbage", wrong, reply=readable)


def _fault(message: Mapping[str, Any], tools: set[str]) -> str:
    calls, content = message.get("tool_calls"), message.get("content")
    if content is not None and not isinstance(content, str):
        return "its text is not text"
    if not calls:
        return "" if content and content.strip() else "its message is empty"
    if not isinstance(calls, list):
        return "its calls are not a list"
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            return "a call has no name"
        if function["name"] not in tools:
            return f"it calls a tool that is not offered: {function['name'][:40]!r}"
        if not _is_object(function.get("arguments")):
            return f"the arguments of {function['name']} are not a JSON object"
    return ""


def _is_object(arguments: Any) -> bool:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return False
    return isinstance(arguments, dict)


def _count(value: Any) -> int:
    if (count := int(value or 0)) > _MAX_TOKENS:
        raise ValueError(f"{count} tokens")
    return max(0, count)
