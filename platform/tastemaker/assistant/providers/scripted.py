"""A back end that says what it was told to say, for tests and load tests."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tastemaker.assistant.providers.backend import BackendFault, check_reply
from tastemaker.assistant.providers.request import RouterReply, RouterRequest

Line = Mapping[str, Any] | Exception


class ScriptedBackend:
    """Answers from a script instead of a model.

    Args:
        script: Messages, or faults to raise, said one after another and then over again; or a
            function of the request.
        name: Of the member.
        latency_s: How long each answer takes.
        prompt_tokens: That each answer claims to have read.
        completion_tokens: And to have written.
    """

    model = "scripted"
    reads_vectors = True

    def __init__(
        self,
        script: Sequence[Line] | Callable[[RouterRequest], Line],
        *,
        name: str = "scripted",
        latency_s: float = 0.0,
        prompt_tokens: int = 100,
        completion_tokens: int = 10,
    ) -> None:
        self.script, self.name, self.latency_s = script, name, latency_s
        self.prompt_tokens, self.completion_tokens = prompt_tokens, completion_tokens
        self.asked: list[RouterRequest] = []

    async def complete(self, request: RouterRequest, *, timeout_s: float) -> RouterReply:
        """Say the next line.

        Raises:
            BackendFault: The script says so, the line is garbage, or the time is too short.
        """
        number = len(self.asked)
        self.asked.append(request)
        await asyncio.sleep(min(self.latency_s, max(timeout_s, 0.0)))
        if self.latency_s > timeout_s:
            raise BackendFault(self.name, "timeout", f"no answer in {timeout_s:.1f} s")
        script = self.script
        line = script(request) if callable(script) else script[number % len(script)]
        if isinstance(line, Exception):
            raise line
        reply = RouterReply(line, self.prompt_tokens, self.completion_tokens)
        check_reply(self.name, reply, request)
        return reply

    async def ready(self) -> str:
        """Always ready."""
        return ""
