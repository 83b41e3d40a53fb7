"""Any OpenAI-compatible chat endpoint as a router back end."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tastemaker.assistant.http_client import HttpClient, fault_of
from tastemaker.assistant.providers import wire
from tastemaker.assistant.providers.backend import check_reply, read_reply
from tastemaker.assistant.providers.request import RouterReply, RouterRequest
from tastemaker.assistant.providers.translation import RULES, to_text_messages
from tastemaker.core.errors import ConfigError
from tastemaker.router.tools import ANSWER

_LIST_TOKENS = 200  # of ten described items


class OpenAICompatible:
    """A model that reads words: items are described to it, see `translation`.

    Args:
        url: Base address with its version path, for example `https://api.example.com/v1`.
        http: Sends the requests.
        model: The model's name at the endpoint.
        name: Of the member.
        api_key_env: Environment variable that holds the key; empty for none. The key goes into
            one header and nowhere else.
        max_items: Items of a list that are described, >= 1.
        reads_images: Whether the model sees; the user's own pictures are shown to it then.
        max_tokens: Longest reply in its tokens, None for the request's.
        body: Further fields of the request, for example `{"reasoning_effort": "none"}`; null
            leaves a field out.

    Raises:
        ConfigError: The variable is not set.
    """

    reads_vectors = False

    def __init__(
        self,
        url: str,
        http: HttpClient,
        *,
        model: str,
        name: str,
        api_key_env: str = "",
        max_items: int = 12,
        reads_images: bool = False,
        max_tokens: int | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        self.url, self.http, self.model, self.name = url.rstrip("/"), http, model, name
        self.max_items, self.reads_images = max_items, reads_images
        self.max_tokens, self.extra = max_tokens, dict(body or {})
        key = os.environ.get(api_key_env, "") if api_key_env else ""
        if api_key_env and not key:
            raise ConfigError(f"provider {name!r}: environment variable {api_key_env} is not set")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def body(self, request: RouterRequest) -> dict[str, Any]:
        """The very request that is sent."""
        messages = to_text_messages(
            request, max_items=self.max_items, with_images=self.reads_images
        )
        messages = [_with_calls(message, _written) for message in messages]
        body = {
            "model": self.model,
            "messages": messages,
            "tools": [_renamed(tool, _written) for tool in request.tools],
            "tool_choice": "auto",
            "temperature": 0,
            "max_tokens": self.max_tokens or request.max_tokens,
            **self.extra,
        }
        return {key: value for key, value in body.items() if value is not None}

    async def complete(self, request: RouterRequest, *, timeout_s: float) -> RouterReply:
        """One step; text without a call counts as the tool `answer`, where that is offered.

        Raises:
            BackendFault: No answer in time, an error, or a reply of another form.
        """
        url = f"{self.url}/chat/completions"
        body = await wire.post(
            self.http,
            self.name,
            url,
            self.body(request),
            timeout_s=timeout_s,
            headers=self._headers,
        )
        reply = read_reply(self.name, body)
        meant = {_written(name): name for name in request.tool_names()}
        read = _with_calls(reply.message, lambda name: meant.get(name, name))
        reply = replace(reply, message=read)
        check_reply(self.name, reply, request)
        if reply.message.get("tool_calls") or ANSWER not in request.tool_names():
            return reply
        return RouterReply(
            as_answer(str(reply.message["content"])),
            reply.prompt_tokens,
            reply.completion_tokens,
            reply.cached_tokens,
        )

    async def ready(self) -> str:
        """An empty string when the endpoint lists its models, else why not."""
        return await fault_of(self.http, f"{self.url}/models", self._headers)


def _written(name: str) -> str:
    """A tool's name as such endpoints take it: letters, digits, _ and - alone, 64 at most."""
    return name.replace(".", "--")[-64:]


def _with_calls(message: Mapping[str, Any], rename: Callable[[str], str]) -> dict[str, Any]:
    """A message with the names of its calls written otherwise; what is no call stays."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return dict(message)
    return {**message, "tool_calls": [_renamed(call, rename) for call in calls]}


def _renamed(held: Any, rename: Callable[[str], str]) -> Any:
    """A tool or a call with its function's name written otherwise."""
    function = held.get("function") if isinstance(held, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return held
    return {**held, "function": {**function, "name": rename(function["name"])}}


def as_answer(text: str) -> dict[str, Any]:
    """What a model said in plain text, as a call of the tool `answer`."""
    function = {"name": ANSWER, "arguments": json.dumps({"text": text}, ensure_ascii=False)}
    call = {"id": "call_said", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def estimated_tokens(body: Mapping[str, Any]) -> int:
    """Tokens of a request, about one for four characters of its messages' text and tools.

    No provider's tokenizer is at hand here. Four characters a token is the providers' own rule of
    thumb for English; JSON and handles take more tokens than that, so the estimate is a low one.
    """
    messages = [{**m, "content": _words(m.get("content"))} for m in body["messages"]]
    texts = json.dumps([messages, body.get("tools", [])], ensure_ascii=False)
    return -(-len(texts) // 4)


def estimated_request_tokens(request: RouterRequest) -> int:
    """The same for a request that was sent but never answered; a list counts as a usual one."""
    texts, lists = [RULES, request.user_text], 0
    for message in request.messages:
        content = message.get("content") or ""
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        texts += [part["text"] for part in parts if part["type"] == "text"]
        lists += sum(part["type"] == "image_embeds" for part in parts)
        texts.append(json.dumps(message.get("tool_calls", "")))
    texts.append(json.dumps(request.tools, default=str))
    return -(-sum(map(len, texts)) // 4) + lists * _LIST_TOKENS


def _words(content: Any) -> Any:
    return content[0]["text"] if isinstance(content, list) else content  # pictures left out
