"""What a turn is answered with, described: the API's description holds these, fuzzed against it.

The routes write their answers themselves, once; nothing is parsed again on a turn's way.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Tokens(_Closed):
    """Tokens that routers read and wrote."""

    prompt: int
    completion: int


class StepBody(_Closed):
    """One step of a turn; `list` and `error` are there when there is one."""

    tool: str
    arguments: dict[str, Any]
    ms: float
    router_ms: float
    backend: str
    tokens: Tokens
    cents: float
    num_items: int
    bundles: Mapping[str, Sequence[str]] = {}
    list: str = ""
    error: str = ""


class ItemBody(BaseModel):
    """An item that is shown; it has more fields, see GET /items/{item_id}."""

    item_id: str
    title: str
    category: str
    image_url: str
    price: float | None
    score: float | None = None
    ref: str


class TurnExtension(_Closed):
    """Ours besides OpenAI's fields."""

    conversation: str
    items: list[ItemBody]
    steps: list[StepBody]
    tokens: Tokens
    ms: float
    cents: float
    notices: list[str]
    trace: str
    board: str | None
    bundles: Mapping[str, Sequence[str]] = {}


class ChatMessage(_Closed):
    """What the assistant said."""

    role: Literal["assistant"]
    content: str


class Choice(_Closed):
    """The one choice that there is."""

    index: int
    message: ChatMessage
    finish_reason: Literal["stop"]


class ChatUsage(_Closed):
    """Tokens, as chat completions count them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatCompletion(_Closed):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: ChatUsage
    tastemaker: TurnExtension


class ResponseUsage(BaseModel):
    """Tokens, as responses count them; it has details besides."""

    input_tokens: int
    output_tokens: int
    total_tokens: int


class OutputItem(BaseModel):
    """A call or the message; more fields by `type`, as OpenAI describes them."""

    id: str
    type: Literal["mcp_call", "message"]


class ResponseConversation(_Closed):
    """The conversation of a response."""

    id: str


class ResponseBody(BaseModel):
    """A response; it has further fields of OpenAI's with the values that a client expects."""

    id: str
    object: Literal["response"]
    created_at: int
    status: Literal["completed"]
    model: str
    output: list[OutputItem]
    previous_response_id: str | None
    usage: ResponseUsage
    conversation: ResponseConversation
    tastemaker: TurnExtension


def json_or_stream(body: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """A route's answer for the API's description: this body, or events."""
    return {200: {"model": body, "content": {"text/event-stream": {}}}}
