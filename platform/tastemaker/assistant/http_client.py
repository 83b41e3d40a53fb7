"""How the gateway reaches other servers: a whole request, a whole reply, one deadline for both.

This is the seam where tests put servers of their own.
"""

import asyncio
import re
import ssl
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol
from urllib.parse import quote, urlsplit

from tastemaker import __version__
from tastemaker.assistant.http_connection import Connection, Response, TooLong

MAX_REPLY_BYTES = 4 << 20
_READY_TIMEOUT_S = 1.5  # of all at once; whoever asks us waits not much longer
_MAX_CONNECTIONS = 400
_IDLE_S = 4.0  # uvicorn, which our servers run on, closes a connection that is idle for 5 s
_SHORTEST_S = 0.01
_NO_HEADER = re.compile(r"[\x00\r\n]")  # would end a header, or begin another
_KEPT_IN_URLS = "!$%&'()*+,-./:;=?@_~"


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
    """Connections that are kept and used again; of one event loop.

    A server that ends (an update, a swap) closes the connections that it keeps; a request may
    just then be on its way. Where a connection that was used before ends before any byte of the
    reply came, the request goes out once more, on a new one: no request here changes anything
    at the server, and none is lost by an update.

    Args:
        tls: Which certificates of servers are trusted; default: the system's.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._idle: defaultdict[_Place, deque[Connection]] = defaultdict(deque)
        self._busy: set[Connection] = set()
        self._slots = asyncio.Semaphore(_MAX_CONNECTIONS)
        self._tls = tls

    async def send(self, request: Request) -> Response:
        """As `HttpClient.send`."""
        until_s = asyncio.get_running_loop().time() + max(request.timeout_s, _SHORTEST_S)
        place, message = _written(request)
        if self._slots.locked():
            async with asyncio.timeout_at(until_s):
                await self._slots.acquire()
        else:
            await self._slots.acquire()  # at once
        try:
            if (kept := self._take(place)) is not None:
                try:
                    return await self._ask(kept, place, message, request, until_s)
                except ConnectionError:
                    if kept.begun:
                        raise
            opened = await self._open(place, until_s)
            return await self._ask(opened, place, message, request, until_s)
        finally:
            self._slots.release()

    async def aclose(self) -> None:
        """As `HttpClient.aclose`."""
        for connection in (*self._busy, *(one for kept in self._idle.values() for one in kept)):
            connection.close()
        self._idle.clear()

    async def _ask(
        self,
        connection: Connection,
        place: "_Place",
        message: bytes,
        request: Request,
        until_s: float,
    ) -> Response:
        loop = asyncio.get_running_loop()
        self._busy.add(connection)
        try:
            reply = await connection.ask(
                message, timeout_s=until_s - loop.time(), max_bytes=request.max_bytes
            )
        finally:
            self._busy.discard(connection)
        if connection.reusable:
            connection.used_s = loop.time()
            self._idle[place].append(connection)
        else:
            connection.close()
        return reply

    def _take(self, place: "_Place") -> Connection | None:
        """The connection that was used last; those that are idle for long are closed."""
        kept, oldest_s = self._idle[place], asyncio.get_running_loop().time() - _IDLE_S
        while kept and (kept[0].closed or kept[0].used_s < oldest_s):
            kept.popleft().close()
        while kept:
            if not (last := kept.pop()).closed:
                return last
        return None

    async def _open(self, place: "_Place", until_s: float) -> Connection:
        loop = asyncio.get_running_loop()
        if place.tls and self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            async with asyncio.timeout_at(until_s):
                _, connection = await loop.create_connection(
                    Connection, place.host, place.port, ssl=self._tls if place.tls else None
                )
        except TimeoutError:
            raise
        except OSError as error:  # a name that nobody knows and a wrong certificate are others
            said = error.strerror or str(error) or type(error).__name__
            raise ConnectionError(f"{place.host}:{place.port}: {said}") from error
        return connection


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a connection leads."""

    host: str
    port: int
    tls: bool


def _written(request: Request) -> tuple[_Place, bytes]:
    """Where a request goes, and its bytes."""
    place, get, post = _target(request.url)
    lines = [get if request.body is None else post]
    for name, value in request.headers.items():
        if _NO_HEADER.search(name) or _NO_HEADER.search(value):
            raise ConnectionError(f"header {name!r} cannot be sent: it holds a line's end")
        lines.append(f"{name}: {value}\r\n")
    if request.body is None:
        return place, "".join((*lines, "\r\n")).encode(errors="replace")
    lines.append(f"Content-Length: {len(request.body)}\r\n\r\n")
    return place, "".join(lines).encode(errors="replace") + request.body


@lru_cache(maxsize=256)
def _target(url: str) -> tuple[_Place, str, str]:
    """Of an address: where it leads, and how a GET and a POST to it begin.

    Raises:
        ConnectionError: It is no http or https address.
    """
    try:
        parts = urlsplit(url)
        tls = {"http": False, "https": True}[parts.scheme]
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port or (443 if tls else 80)
        if not host:
            raise ValueError(url)
    except (KeyError, ValueError):
        raise ConnectionError(f"{url!r} is no http or https address") from None
    if parts.username is not None:  # not repeated: a message may be logged
        raise ConnectionError(f"the address of {host} holds a user name: use a header")
    path = quote(parts.path or "/", safe=_KEPT_IN_URLS)
    path += f"?{quote(parts.query, safe=_KEPT_IN_URLS)}" if parts.query else ""
    name = f"[{host}]" if ":" in host else host
    name += "" if parts.port is None else f":{port}"
    rest = f" {path} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: tastemaker/{__version__}\r\n"
    return _Place(host, port, tls), f"GET{rest}", f"POST{rest}"
