"""POST /v1/chat/completions: an OpenAI request in, an OpenAI reply out, as JSON or SSE chunks."""

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from tastemaker.assistant.api import turns
from tastemaker.assistant.api.auth import Asking
from tastemaker.assistant.api.bodies import ChatCompletion, json_or_stream
from tastemaker.assistant.api.fields import BoardId, ConversationId, IdempotencyKey, Text, UserId
from tastemaker.assistant.asked import (
    MODEL,
    Asked,
    Outcome,
    read_image,
    read_question,
)
from tastemaker.assistant.errors import BadRequest
from tastemaker.assistant.reply import Reply, step_body
from tastemaker.assistant.services import Services
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.turn import Step


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # clients send sampling fields too


class ImageUrl(_Lenient):
    """Where a picture is: a `data:` URL."""

    url: Text


class Part(_Lenient):
    """A piece of a message."""

    type: Text
    text: Text = ""
    image_url: ImageUrl | None = None


class Message(_Lenient):
    """One message of the history."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Text | list[Part] | None = None

    def text(self) -> str:
        """Its text parts, joined."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content if part.type == "text")
        return self.content or ""


class Extension(BaseModel):
    """What our own page sends besides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    conversation: ConversationId | None = None
    similar_to: str | None = Field(default=None, max_length=512)  # an item id that was clicked
    board: BoardId | None = None  # the question is about this board
    complete_board: BoardId | None = None
    shop_room: bool = False  # the picture is a room
    outcome: Outcome | None = None


class ChatRequest(_Lenient):
    """A request; fields that are not listed are ignored, as a model server does."""

    messages: list[Message]
    model: Text = MODEL
    user: UserId | None = None
    stream: bool = False
    n: int | None = None
    tools: list[Any] | None = None
    tastemaker: Extension = Extension()


def routes(services: Services) -> APIRouter:
    """The routes of the chat API."""
    api = APIRouter(tags=["chat"])

    @api.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The one model that there is."""
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "tastemaker"}
        return {"object": "list", "data": [model]}

    @api.post("/v1/chat/completions", responses=json_or_stream(ChatCompletion))
    async def completions(
        body: ChatRequest,
        request: Request,
        caller: Asking,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Answer the last message."""
        asked = read_request(body, services.config.assistant, caller.act_for(body.user))
        events = turns.run(
            services, caller, asked, key=idempotency_key, body=body, headers=request.headers
        )
        if asked.stream:
            return await turns.stream(request, events, lambda found: _chunks(found, asked))
        return turns.json(completion(await turns.reply_of(request, events)))

    return api


def read_request(request: ChatRequest, limits: AssistantConfig, user: str | None) -> Asked:
    """Take a request apart.

    Args:
        request: As it came.
        limits: Of messages, characters and pictures.
        user: For whom, as the caller's rights allow.

    Raises:
        BadRequest: Naming the field at fault.
    """
    if request.n not in (None, 1):
        raise BadRequest(f"n={request.n}: one answer a request", "n")
    if request.tools:
        raise BadRequest("tools: the assistant calls its own tools only", "tools")
    if len(request.messages) > limits.max_messages:
        many = f"{len(request.messages)} messages; at most {limits.max_messages}"
        raise BadRequest(many, "messages")
    if not request.messages or request.messages[-1].role != "user":
        raise BadRequest("messages: the last one must be the user's", "messages")
    *before, last = request.messages
    images = _images(last, limits)
    unused = any(message.role in ("system", "developer") for message in before)
    ours = request.tastemaker
    if ours.shop_room and not images:
        raise BadRequest("tastemaker.shop_room: the last message has no picture", "tastemaker")
    return Asked(
        question=read_question(last.text(), images, limits.max_question_chars, "messages"),
        images=images,
        earlier=_pairs(before, limits.max_question_chars),
        user=user,
        stream=request.stream,
        notices=("System messages are not used.",) if unused else (),
        **ours.model_dump(),
    )


def completion(reply: Reply) -> dict[str, Any]:
    """The whole reply: OpenAI's fields, and ours under `tastemaker`."""
    message = {"role": "assistant", "content": reply.text}
    return {
        "id": f"chatcmpl-{reply.id}",
        "object": "chat.completion",
        "created": reply.created,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": _usage(reply),
        "tastemaker": reply.extension(),
    }


async def _chunks(events: AsyncIterator[Step | Reply], asked: Asked) -> AsyncIterator[str]:
    begun = False
    async for event in events:
        own = (asked.turn_id, asked.created)  # a retry is told as the turn of the first try
        head = _head(*((event.id, event.created) if isinstance(event, Reply) else own))
        if not begun:
            begun = True
            yield _chunk(head, {"role": "assistant", "content": ""})
        if isinstance(event, Step):  # a plain OpenAI client sees an empty delta
            yield _chunk(head, {}, tastemaker={"step": step_body(event)})
            continue
        for chunk in _answer_chunks(head, event):
            yield chunk


def _answer_chunks(head: Mapping[str, Any], reply: Reply) -> Iterator[str]:
    """The text, word by word, then everything else."""
    for place, word in enumerate(reply.text.split(" ")):
        yield _chunk(head, {"content": f" {word}" if place else word})
    rest = {"usage": _usage(reply), "tastemaker": reply.extension()}
    yield _chunk(head, {}, finish_reason="stop", **rest)
    yield "data: [DONE]\n\n"


def _head(turn_id: str, created: int) -> dict[str, Any]:
    head = {"id": f"chatcmpl-{turn_id}", "object": "chat.completion.chunk", "model": MODEL}
    return {**head, "created": created}


def _chunk(
    head: Mapping[str, Any],
    delta: Mapping[str, Any],
    *,
    finish_reason: str | None = None,
    **rest: Any,
) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return turns.sse({**head, "choices": [choice], **rest})


def _usage(reply: Reply) -> dict[str, int]:
    total = reply.prompt_tokens + reply.completion_tokens
    return {
        "prompt_tokens": reply.prompt_tokens,
        "completion_tokens": reply.completion_tokens,
        "total_tokens": total,
    }


def _images(message: Message, limits: AssistantConfig) -> tuple[str, ...]:
    parts = message.content if isinstance(message.content, list) else []
    found = []
    for part in parts:
        if part.type == "text":
            continue
        if part.type != "image_url" or part.image_url is None:
            raise BadRequest(f"messages: no content part of type {part.type!r}", "messages")
        found.append(read_image(part.image_url.url, "messages"))
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
