"""/v1/responses: the OpenAI Responses API over the same turns.

Conversation state is the server's: a request names the response that it follows, or a
conversation. Tool calls are told as `mcp_call` items of the server `tastemaker`.
"""

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from tastemaker.assistant.api import turns
from tastemaker.assistant.api.auth import Asking
from tastemaker.assistant.api.bodies import ResponseBody, json_or_stream
from tastemaker.assistant.api.chat import Extension
from tastemaker.assistant.api.fields import (
    ConversationId,
    IdempotencyKey,
    ResponseId,
    Text,
    UserId,
)
from tastemaker.assistant.asked import MODEL, Asked, read_image, read_question
from tastemaker.assistant.errors import BadRequest
from tastemaker.assistant.identity import Owner
from tastemaker.assistant.reply import Reply, step_body
from tastemaker.assistant.services import Services
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.turn import Step
from tastemaker.core.database import work
from tastemaker.core.errors import NotFound


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class InputPart(_Lenient):
    """A piece of an input message."""

    type: Text
    text: Text = ""
    image_url: Text | None = None


class InputMessage(_Lenient):
    """One message of the input."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[InputPart]

    def text(self) -> str:
        """Its text parts, joined."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(p.text for p in self.content if p.type in ("input_text", "output_text"))


class ConversationRef(_Lenient):
    """A conversation by its id."""

    id: ConversationId


class ResponsesRequest(_Lenient):
    """A request; fields that are not listed are ignored, as a model server does."""

    input: Text | list[InputMessage]
    model: Text = MODEL
    user: UserId | None = None
    stream: bool = False
    previous_response_id: ResponseId | None = None
    conversation: ConversationId | ConversationRef | None = None
    instructions: Text | None = None
    tools: list[Any] | None = None
    tastemaker: Extension = Extension()


def routes(services: Services) -> APIRouter:
    """The routes of the Responses API."""
    api = APIRouter(tags=["responses"])

    @api.post("/v1/responses", responses=json_or_stream(ResponseBody))
    async def create(
        body: ResponsesRequest,
        request: Request,
        caller: Asking,
        idempotency_key: IdempotencyKey = None,
    ) -> Response:
        """Answer the input."""
        user = caller.act_for(body.user)
        asked = read_request(body, services.config.assistant, user)
        if body.previous_response_id is not None:
            record = await _record(services, body.previous_response_id, caller.owner(user))
            asked = replace(asked, conversation=record["conversation"])
        before = body.previous_response_id
        events = turns.run(
            services, caller, asked, key=idempotency_key, body=body, headers=request.headers
        )
        if asked.stream:
            return await turns.stream(request, events, lambda found: _events(found, asked, before))
        return turns.json(response_body(await turns.reply_of(request, events), before))

    @api.get(
        "/v1/responses/{response_id}", response_model=None, responses={200: {"model": ResponseBody}}
    )
    async def read(
        response_id: ResponseId, caller: Asking, user: UserId | None = None
    ) -> dict[str, Any]:
        """A response that was given before."""
        record = await _record(services, response_id, caller.owner(user))
        return response_body(Reply.of_record(record), None)

    @api.delete("/v1/responses/{response_id}")
    async def delete(
        response_id: ResponseId, caller: Asking, user: UserId | None = None
    ) -> dict[str, Any]:
        """Delete a response; later turns no longer see it."""
        who = caller.owner(user)
        await _record(services, response_id, who)
        drop = services.conversations.delete_turn
        await work(services.engine, drop, response_id.removeprefix("resp_"), who)
        return {"id": response_id, "object": "response", "deleted": True}

    return api


def read_request(request: ResponsesRequest, limits: AssistantConfig, user: str | None) -> Asked:
    """Take a request apart.

    Raises:
        BadRequest: Naming the field at fault.
    """
    if request.tools:
        raise BadRequest("tools: the assistant calls its own tools only", "tools")
    messages = request.input
    if isinstance(messages, str):
        messages = [InputMessage(role="user", content=messages)]
    if len(messages) > limits.max_messages:
        raise BadRequest(f"{len(messages)} messages; at most {limits.max_messages}", "input")
    if not messages or messages[-1].role != "user":
        raise BadRequest("input: the last message must be the user's", "input")
    images = _images(messages[-1], limits)
    ours, given = request.tastemaker, request.conversation
    conversation = given.id if isinstance(given, ConversationRef) else given
    if ours.shop_room and not images:
        raise BadRequest("tastemaker.shop_room: the last message has no picture", "tastemaker")
    unused = request.instructions or any(m.role in ("system", "developer") for m in messages)
    fields = ours.model_dump() | {"conversation": conversation or ours.conversation}
    return Asked(
        question=read_question(messages[-1].text(), images, limits.max_question_chars, "input"),
        images=images,
        earlier=_pairs(messages[:-1], limits.max_question_chars),
        user=user,
        stream=request.stream,
        notices=("Instructions and system messages are not used.",) if unused else (),
        **fields,
    )


def response_body(
    reply: Reply, previous: str | None, *, status: str = "completed"
) -> dict[str, Any]:
    """A response object; ours under `tastemaker`."""
    output = [*(_call_item(reply.id, n, step) for n, step in enumerate(reply.steps))]
    output.append(_message_item(reply))
    return _object(reply.id, reply.created, previous, status) | {
        "output": output,
        "usage": {
            "input_tokens": reply.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": reply.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": reply.prompt_tokens + reply.completion_tokens,
        },
        "conversation": {"id": reply.conversation},
        "tastemaker": reply.extension(),
    }


def _object(turn_id: str, created: int, previous: str | None, status: str) -> dict[str, Any]:
    return {
        "id": f"resp_{turn_id}",
        "object": "response",
        "created_at": created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": MODEL,
        "output": [],
        "parallel_tool_calls": True,
        "previous_response_id": previous,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 0.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None,
        "metadata": {},
    }


def _call_item(turn_id: str, place: int, step: Any) -> dict[str, Any]:
    error = step.get("error")
    return {
        "id": f"mcp_{turn_id}_{place}",
        "type": "mcp_call",
        "server_label": "tastemaker",
        "name": step["tool"],
        "arguments": json.dumps(step["arguments"], ensure_ascii=False),
        "output": None if error else f"{step['num_items']} items",
        "error": {"type": "mcp_tool_execution_error", "content": error} if error else None,
        "status": "failed" if error else "completed",
    }


def _message_item(reply: Reply, status: str = "completed") -> dict[str, Any]:
    content = [_text_part(reply.text)] if status == "completed" else []
    return {
        "id": f"msg_{reply.id}",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


async def _events(
    found: AsyncIterator[Step | Reply], asked: Asked, previous: str | None
) -> AsyncIterator[str]:
    numbered, place, begun, own = _Numbered(), 0, False, (asked.turn_id, asked.created)
    async for event in found:
        if not begun:
            begun = True
            turn = (event.id, event.created) if isinstance(event, Reply) else own
            head = _object(*turn, previous, "in_progress")
            yield numbered("response.created", response=head)
            yield numbered("response.in_progress", response=head)
        if isinstance(event, Step):
            item = _call_item(asked.turn_id, place, step_body(event))
            for kind in ("added", "done"):
                yield numbered(f"response.output_item.{kind}", output_index=place, item=item)
            place += 1
            continue
        for text in _message_events(numbered, event, place):
            yield text
        yield numbered("response.completed", response=response_body(event, previous))


def _message_events(numbered: "_Numbered", reply: Reply, place: int) -> Iterator[str]:
    at: dict[str, Any] = {"output_index": place, "item_id": f"msg_{reply.id}", "content_index": 0}
    opened = _message_item(reply, "in_progress")
    yield numbered("response.output_item.added", output_index=place, item=opened)
    yield numbered("response.content_part.added", **at, part=_text_part(""))
    for number, word in enumerate(reply.text.split(" ")):
        delta = f" {word}" if number else word
        yield numbered("response.output_text.delta", **at, delta=delta, logprobs=[])
    yield numbered("response.output_text.done", **at, text=reply.text, logprobs=[])
    yield numbered("response.content_part.done", **at, part=_text_part(reply.text))
    yield numbered("response.output_item.done", output_index=place, item=_message_item(reply))


class _Numbered:
    """Events with ascending sequence numbers."""

    def __init__(self) -> None:
        self.next = 0

    def __call__(self, kind: str, **fields: Any) -> str:
        body = {"type": kind, "sequence_number": self.next, **fields}
        self.next += 1
        return turns.sse(body, event=kind)


async def _record(services: Services, response_id: str, owner: Owner) -> dict[str, Any]:
    turn_id = response_id.removeprefix("resp_")
    record = await work(services.engine, services.records.of_turn, turn_id, owner)
    if record is None or not response_id.startswith("resp_"):
        raise NotFound(f"no response {response_id!r}")
    return record


def _images(message: InputMessage, limits: AssistantConfig) -> tuple[str, ...]:
    parts = message.content if isinstance(message.content, list) else []
    found = []
    for part in parts:
        if part.type == "input_text":
            continue
        if part.type != "input_image" or part.image_url is None:
            raise BadRequest(f"input: no content part of type {part.type!r}", "input")
        found.append(read_image(part.image_url, "input"))
    if len(found) > limits.max_images:
        raise BadRequest(f"{len(found)} pictures; at most {limits.max_images}", "input")
    return tuple(found)


def _pairs(messages: Sequence[InputMessage], max_chars: int) -> tuple[tuple[str, str], ...]:
    pairs: list[tuple[str, str]] = []
    for message in messages:
        if message.role == "user":
            pairs.append((message.text().strip()[:max_chars], ""))
        elif message.role == "assistant" and pairs:
            pairs[-1] = (pairs[-1][0], message.text().strip()[:max_chars])
    return tuple(pairs)
