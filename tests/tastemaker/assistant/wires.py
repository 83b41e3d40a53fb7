"""Servers in this process behind the gateway's own seam."""

from dataclasses import dataclass

import httpx

from tastemaker.assistant.http_client import Request
from tastemaker.assistant.http_connection import Response, TooLong


@dataclass
class Wired:
    """An `HttpClient` whose requests go to an httpx transport: an ASGI app, or a test's own."""

    transport: httpx.AsyncBaseTransport

    async def send(self, request: Request) -> Response:
        sent = httpx.Request(
            "GET" if request.body is None else "POST",
            request.url,
            content=request.body,
            headers=dict(request.headers),
        )
        try:
            reply = await self.transport.handle_async_request(sent)
            body = await reply.aread()
        except httpx.TimeoutException as error:
            raise TimeoutError(str(error)) from None
        except httpx.HTTPError as error:
            raise ConnectionError(str(error)) from None
        if len(body) > request.max_bytes:
            raise TooLong(f"more than {request.max_bytes} bytes")
        return Response(reply.status_code, body, {k.lower(): v for k, v in reply.headers.items()})

    async def aclose(self) -> None:
        await self.transport.aclose()
