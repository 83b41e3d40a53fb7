"""How the gateway reaches other servers: a whole request, a whole reply, one deadline for both.

This is the seam where tests put servers of their own.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Protocol

import aiohttp

from tastemaker import __version__

MAX_REPLY_BYTES = 4 << 20
_READY_TIMEOUT_S = 1.5  # of all at once; whoever asks us waits not much longer
_MAX_CONNECTIONS = 400
_IDLE_S = 4.0  # uvicorn, which our servers run on, closes a connection that is idle for 5 s
_NOT_SENT = ("Accept", "Accept-Encoding")  # aiohttp's own; a reply is read as it is
_HEADERS = {"User-Agent": f"tastemaker/{__version__}"}


class TooLong(ValueError):
    """A reply of more bytes than were allowed."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent.

    Attributes:
        url: The full address.
        timeout_s: Longest wait for the last byte of the reply, > 0.
        body: What is posted; None to get.
        headers: Of the request.
        max_bytes: Longest body of a reply.
    """

    url: str
    timeout_s: float
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    max_bytes: int = MAX_REPLY_BYTES


@dataclass(frozen=True, slots=True)
class Response:
    """What came back; names of headers are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx; a redirect is not followed and is none."""
        return 200 <= self.status < 300


class HttpClient(Protocol):
    """Sends requests."""

    async def send(self, request: Request) -> Response:
        """The reply, read to its end.

        Raises:
            TimeoutError: It was not there in time.
            ConnectionError: The server cannot be reached, or the connection was lost.
            TooLong: It has more than `max_bytes`.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


async def fault_of(http: HttpClient, url: str, headers: Mapping[str, str] | None = None) -> str:
    """An empty string when a GET of the address succeeds, else why not."""
    try:
        response = await http.send(Request(url, _READY_TIMEOUT_S, headers=headers or {}))
    except TimeoutError:
        return f"no answer in {_READY_TIMEOUT_S} s"
    except (ConnectionError, TooLong) as error:
        return str(error) or type(error).__name__
    return "" if response.is_success else f"HTTP {response.status}"


class Pool:
    """Connections that are kept and used again.

    A server that ends (an update, a swap) closes the connections that it keeps; a request may
    just then be on its way. Where a connection that was used before ends before any byte of the
    reply came, the request goes out once more, on a new one: no request here changes anything
    at the server, and none is lost by an update.
    """

    def __init__(self) -> None:
        self._sessions: dict[bool, aiohttp.ClientSession] = {}  # by whether connections are kept

    async def send(self, request: Request) -> Response:
        """As `HttpClient.send`."""
        sending = SimpleNamespace(reused=False)
        try:
            async with asyncio.timeout(max(request.timeout_s, 0.01)):
                try:
                    return await self._send(request, sending, keep=True)
                except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                    if not sending.reused or not _unanswered(error):
                        raise
                    return await self._send(request, sending, keep=False)
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error) or type(error).__name__) from error

    async def aclose(self) -> None:
        """As `HttpClient.aclose`."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    async def _send(self, request: Request, sending: SimpleNamespace, *, keep: bool) -> Response:
        async with self._session(keep).request(
            "GET" if request.body is None else "POST",
            request.url,
            data=request.body,
            headers=request.headers,
            allow_redirects=False,
            trace_request_ctx=sending,
        ) as response:
            content = bytearray()
            async for piece in response.content.iter_any():
                content += piece
                if len(content) > request.max_bytes:
                    response.close()
                    raise TooLong(f"more than {request.max_bytes} bytes")
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Response(response.status, bytes(content), headers)

    def _session(self, keep: bool) -> aiohttp.ClientSession:
        """Made with the first request: a session belongs to the event loop that it is used in."""
        if keep not in self._sessions:
            connector = (
                aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, keepalive_timeout=_IDLE_S)
                if keep
                else aiohttp.TCPConnector(force_close=True)
            )
            self._sessions[keep] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=_HEADERS,
                skip_auto_headers=_NOT_SENT,
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),  # `send` has one for all
                trace_configs=[_tell_reuse()],
            )
        return self._sessions[keep]


def _tell_reuse() -> aiohttp.TraceConfig:
    """Notes in a request's context that it went out on a connection that was used before."""

    async def reused(_: Any, context: SimpleNamespace, __: Any) -> None:
        context.trace_request_ctx.reused = True

    found = aiohttp.TraceConfig()
    found.on_connection_reuseconn.append(reused)
    return found


def _unanswered(error: aiohttp.ClientError) -> bool:
    """Whether a connection ended before its reply began; else the error holds what came of it."""
    return isinstance(getattr(error, "message", ""), str)
