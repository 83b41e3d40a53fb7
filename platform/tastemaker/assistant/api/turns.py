"""A turn over HTTP: retries that do no work twice, streams, and clients that leave."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel
from pydantic_core import to_json

from tastemaker.assistant.api.errors import DATABASE_DOWN, ClientGone, error_of
from tastemaker.assistant.asked import Asked
from tastemaker.assistant.idempotency import Claim
from tastemaker.assistant.identity import Caller
from tastemaker.assistant.reply import Reply
from tastemaker.assistant.services import Services
from tastemaker.assistant.turn import Step
from tastemaker.core.database import work
from tastemaker.core.errors import TastemakerError

STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
T = TypeVar("T")
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
        async with aclosing(_fresh(services, caller, asked)) as events:
            async for event in events:
                yield event
        return
    digest = hashlib.sha256(body.model_dump_json().encode()).hexdigest()
    claim = await services.idempotency.claim(f"{caller.name}\0{key}", digest)
    if claim.turn_id is not None:
        owner = caller.owner(asked.user)
        record = await work(services.engine, services.records.of_turn, claim.turn_id, owner)
        if record is not None:
            yield Reply.of_record(record)
            return
    try:
        async with aclosing(_fresh(services, caller, asked, claim)) as events:
            async for event in events:
                yield event
    finally:
        services.idempotency.release(claim)


async def _fresh(
    services: Services, caller: Caller, asked: Asked, claim: Claim | None = None
) -> Events:
    left_cents = await services.limits.check_spend(caller)  # the rate is counted already

    def stored(turn: Reply) -> None:
        if claim is not None and turn.status == "done":
            services.idempotency.finish(claim, turn.id)

    async with aclosing(services.session.answer(asked, caller, left_cents, stored)) as events:
        async for event in events:
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

    return await _while_there(request, last())


async def _while_there(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Do something, until the client leaves.

    Raises:
        ClientGone: It left.
    """
    here, ended = asyncio.current_task(), False
    assert here is not None

    async def stop_when_gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        if not ended:
            here.cancel()

    watch = asyncio.ensure_future(stop_when_gone())
    try:
        return await work
    except asyncio.CancelledError:
        if watch.done() and not watch.cancelled() and here.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        ended = True
        watch.cancel()


async def stream(
    request: Request, events: Events, chunks: Callable[[Events], AsyncIterator[str]]
) -> StreamingResponse:
    """A stream of SSE chunks; what is wrong from the start is an HTTP status still.

    Raises:
        ClientGone: The client left before the first of them.
    """

    async def begin() -> Step | Reply:
        return await anext(events)

    first = await _while_there(request, begin())

    async def all_of_them() -> Events:
        yield first
        async with aclosing(_cancelled_once(events)) as running:
            async for event in running:
                yield event

    async def text() -> AsyncIterator[str]:
        try:
            async with aclosing(all_of_them()) as running:
                async for chunk in chunks(running):
                    yield chunk
        except (TastemakerError, *DATABASE_DOWN) as error:  # the status is sent already
            yield sse(error_of(error)[1])

    return StreamingResponse(text(), media_type="text/event-stream", headers=STREAM_HEADERS)


async def _cancelled_once(events: Events) -> Events:
    """The same events; when the client leaves, the work for the next one is cancelled once.

    The server cancels a stream over and over until it has ended. A request to a router or a tool
    that is cancelled again while it closes its connection leaves that open, and the router at
    work for nobody.
    """
    try:
        while True:
            coming = asyncio.ensure_future(anext(events, None))  # type: ignore[arg-type]
            try:
                event = await asyncio.shield(coming)
            except asyncio.CancelledError:
                coming.cancel()
                raise
            if event is None:
                return
            yield event
    finally:
        if coming.done():
            await events.aclose()


def json(value: Mapping[str, Any]) -> Response:
    """A reply in JSON."""
    return Response(to_json(value, inf_nan_mode="null"), media_type="application/json")


def sse(value: Mapping[str, Any], event: str = "") -> str:
    """One server-sent event."""
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {to_json(value, inf_nan_mode='null').decode()}\n\n"
