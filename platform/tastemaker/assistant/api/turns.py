"""A turn over HTTP: retries that do no work twice, streams, and clients that leave."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from tastemaker.assistant.api.errors import ClientGone, error_of
from tastemaker.assistant.asked import Asked
from tastemaker.assistant.identity import Caller
from tastemaker.assistant.reply import Reply
from tastemaker.assistant.services import Services
from tastemaker.assistant.turn import Step
from tastemaker.core.errors import TastemakerError

STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
JSON_OR_STREAM: dict[int | str, dict[str, Any]] = {  # for the API's description
    200: {"content": {"application/json": {}, "text/event-stream": {}}}
}
Events = AsyncGenerator[Step | Reply, None]


async def run(
    services: Services,
    caller: Caller,
    asked: Asked,
    *,
    key: str | None,
    body: BaseModel,
    headers: Mapping[str, str],
) -> Events:
    """Steps and reply of a request; a retry gets what the first try got.

    Args:
        services: The gateway's parts.
        caller: Who asks.
        asked: What.
        key: Its Idempotency-Key, None for none.
        body: As it came: the same key for another body is refused.
        headers: Of the request, for the client's `traceparent`.

    Raises:
        Conflict: The key was used for another request.
        TooMany: The caller's limits are used up.
    """
    asked = replace(asked, traceparent=headers.get("traceparent", ""))
    if key is None:
        async for event in _fresh(services, caller, asked):
            yield event
        return
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    claim = await services.idempotency.claim(f"{caller.name}\0{key}", digest)
    if claim.turn_id is not None:
        record = services.conversations.record(claim.turn_id, asked.user)
        if record is not None:
            yield Reply.of_record(record)
            return
    turn_id = None
    try:
        async for event in _fresh(services, caller, asked):
            if isinstance(event, Reply):
                turn_id = event.id
                services.idempotency.finish(claim, turn_id)
            yield event
    finally:
        if turn_id is None:
            services.idempotency.abandon(claim)


async def _fresh(services: Services, caller: Caller, asked: Asked) -> Events:
    services.limits.check_spend(caller)  # the rate was counted with the credentials
    left_cents = services.limits.remaining(caller)
    async with aclosing(services.session.answer(asked, caller, left_cents)) as events:
        async for event in events:
            if isinstance(event, Reply):
                charge = asyncio.to_thread(services.limits.charge, caller, event.cents)
                services.session.later(charge)
            yield event


async def reply_of(request: Request, events: Events) -> Reply:
    """The reply at the end; the work stops when the client leaves.

    Raises:
        ClientGone: It left.
    """

    async def last() -> Reply:
        async with aclosing(events) as running:
            async for event in running:
                if isinstance(event, Reply):
                    return event
        raise AssertionError("a turn ends with a reply")

    work, gone = asyncio.ensure_future(last()), asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise ClientGone
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def stream(
    events: Events, chunks: Callable[[Events], AsyncIterator[str]]
) -> StreamingResponse:
    """A stream of SSE chunks; what is wrong from the start is an HTTP status still."""
    first = await anext(events)

    async def all_of_them() -> Events:
        async with aclosing(events) as running:
            yield first
            async for event in running:
                yield event

    async def text() -> AsyncIterator[str]:
        try:
            async with aclosing(all_of_them()) as running:
                async for chunk in chunks(running):
                    yield chunk
        except TastemakerError as error:  # the status is sent already
            yield sse(error_of(error)[1])

    return StreamingResponse(text(), media_type="text/event-stream", headers=STREAM_HEADERS)


def sse(value: Mapping[str, Any], event: str = "") -> str:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(value)}\n\n"
