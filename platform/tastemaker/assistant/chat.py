"""The chat API's forms: an OpenAI request in, an OpenAI reply out, as JSON or as SSE chunks."""

import base64
import binascii
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tastemaker.assistant.catalogue import Catalogue, shown
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.turn import Answer, Step
from tastemaker.core.errors import TastemakerError

MODEL = "tastemaker"
_DATA_URL = "data:image/"


class BadRequest(TastemakerError, ValueError):
    """A request that cannot be answered; `param` names the field at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # clients send sampling fields too


class ImageUrl(_Lenient):
    """Where a picture is: a `data:` URL."""

    url: str


class Part(_Lenient):
    """A piece of a message."""

    type: str
    text: str = ""
    image_url: ImageUrl | None = None


class Message(_Lenient):
    """One message of the history."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None

    def text(self) -> str:
        """Its text parts, joined."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class Extension(BaseModel):
    """What our own page sends besides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conversation: str | None = Field(default=None, max_length=64)
    similar_to: str | None = Field(default=None, max_length=512)  # an item id that was clicked


class ChatRequest(_Lenient):
    """A request; fields that are not listed are ignored, as a model server does."""

    messages: list[Message]
    model: str = MODEL
    user: str | None = Field(default=None, max_length=256)
    stream: bool = False
    n: int | None = None
    tools: list[Any] | None = None
    tastemaker: Extension = Extension()


@dataclass(frozen=True)
class Asked:
    """A request, taken apart.

    Attributes:
        question: The newest user message's text.
        images: Its pictures, base64.
        earlier: (question, answer) texts of the history, oldest first.
        user: Id of the user, None for none.
        conversation: Id of the conversation, None for a new one.
        similar_to: Id of an item that was clicked, None for none.
        stream: Whether the reply is a stream of chunks.
        notices: What the client should know of its request.
    """

    question: str
    images: tuple[str, ...]
    earlier: tuple[tuple[str, str], ...]
    user: str | None
    conversation: str | None
    similar_to: str | None
    stream: bool
    notices: tuple[str, ...]


def read_request(body: bytes, limits: AssistantConfig) -> Asked:
    """Validate a request's body.

    Raises:
        BadRequest: Naming the field at fault.
    """
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadRequest(f"{where or 'body'}: {first['msg']}", where or None) from None
    if (request.n or 1) != 1:
        raise BadRequest(f"n={request.n}: one answer a request", "n")
    if request.tools:
        raise BadRequest("tools: the assistant calls its own tools only", "tools")
    if len(request.messages) > limits.max_messages:
        many = f"{len(request.messages)} messages; at most {limits.max_messages}"
        raise BadRequest(many, "messages")
    if not request.messages or request.messages[-1].role != "user":
        raise BadRequest("messages: the last one must be the user's", "messages")
    *before, last = request.messages
    question = last.text().strip()
    images = _images(last, limits)
    if not question and not images:
        raise BadRequest("messages: the last one is empty", "messages")
    if len(question) > limits.max_question_chars:
        long = f"{len(question)} characters; at most {limits.max_question_chars}"
        raise BadRequest(f"messages: the last one has {long}", "messages")
    unused = any(message.role in ("system", "developer") for message in before)
    return Asked(
        question=question or "Find items like this picture",
        images=images,
        earlier=_pairs(before, limits.max_question_chars),
        user=request.user or None,
        conversation=request.tastemaker.conversation,
        similar_to=request.tastemaker.similar_to,
        stream=request.stream,
        notices=("System messages are not used.",) if unused else (),
    )


def reply(
    answer: Answer, catalogue: Catalogue, *, conversation: str, notices: tuple[str, ...]
) -> dict[str, Any]:
    """The whole reply: OpenAI's fields, and ours under `tastemaker`."""
    total = answer.prompt_tokens + answer.completion_tokens
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": MODEL,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text},
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "total_tokens": total,
        },
        "tastemaker": {
            "conversation": conversation,
            "items": shown_items(answer, catalogue),
            "steps": [step_body(step) for step in answer.steps],
            "tokens": {"prompt": answer.prompt_tokens, "completion": answer.completion_tokens},
            "ms": answer.ms,
            "notices": list(dict.fromkeys((*notices, *answer.notices))),
        },
    }


def shown_items(answer: Answer, catalogue: Catalogue) -> list[dict[str, Any]]:
    """The items of the list that an answer shows; pictures of the user's own are left out."""
    if answer.shown is None:
        return []
    scores = answer.shown.scores or (None,) * len(answer.shown)
    rows = zip(answer.shown.item_ids, scores, strict=True)
    return [
        {**shown(catalogue.item(item_id), score), "ref": f"{answer.handle}#{place}"}
        for place, (item_id, score) in enumerate(rows, 1)
        if item_id is not None
    ]


def step_body(step: Step) -> dict[str, Any]:
    """A step as the API gives it; `list` and `error` are there when there is one."""
    body = {
        "tool": step.tool,
        "arguments": dict(step.arguments),
        "ms": step.ms,
        "router_ms": step.router_ms,
        "num_items": step.num_items,
    }
    return body | {k: v for k, v in (("list", step.list), ("error", step.error)) if v}


def step_chunk(step: Step) -> str:
    """An SSE event that tells of a step; a plain OpenAI client sees an empty delta."""
    return sse({**_chunk({}), "tastemaker": {"step": step_body(step)}})


def answer_chunks(body: Mapping[str, Any]) -> Iterator[str]:
    """SSE events of a whole reply: its text, word by word, then everything else."""
    text = body["choices"][0]["message"]["content"]
    yield sse(_chunk({"role": "assistant", "content": ""}))
    for place, word in enumerate(text.split(" ")):
        yield sse(_chunk({"content": f" {word}" if place else word}))
    last = {**_chunk({}, finish_reason="stop"), "usage": body["usage"]}
    yield sse({**last, "tastemaker": body["tastemaker"]})
    yield "data: [DONE]\n\n"


def sse(value: Mapping[str, Any]) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(value)}\n\n"


def error_body(message: str, kind: str, *, param: str | None, code: str | None) -> dict[str, Any]:
    """An error as the OpenAI API gives it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _chunk(delta: Mapping[str, Any], *, finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": dict(delta), "finish_reason": finish_reason}
    head = {"id": "chatcmpl-stream", "object": "chat.completion.chunk", "model": MODEL}
    return {**head, "created": int(time.time()), "choices": [choice]}


def _images(message: Message, limits: AssistantConfig) -> tuple[str, ...]:
    parts = message.content if isinstance(message.content, list) else []
    found = []
    for part in parts:
        if part.type == "text":
            continue
        if part.type != "image_url" or part.image_url is None:
            raise BadRequest(f"messages: no content part of type {part.type!r}", "messages")
        head, _, data = part.image_url.url.partition(";base64,")
        if not head.startswith(_DATA_URL):
            raise BadRequest("image_url: only data:image/...;base64 URLs are read", "messages")
        try:
            base64.b64decode(data, validate=True)
        except binascii.Error:
            raise BadRequest("image_url: not base64", "messages") from None
        found.append(data)
    if len(found) > limits.max_images:
        raise BadRequest(f"{len(found)} pictures; at most {limits.max_images}", "messages")
    return tuple(found)


def _pairs(messages: list[Message], max_chars: int) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for message in messages:
        if message.role == "user":
            pairs.append((message.text().strip()[:max_chars], ""))
        elif message.role == "assistant" and pairs:
            pairs[-1] = (pairs[-1][0], message.text().strip()[:max_chars])
    return tuple(pairs)
