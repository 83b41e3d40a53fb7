"""One HTTP/1.1 connection (RFC 9112): a request out, its whole reply in, one at a time.

httptools reads what comes (llhttp, the parser of Node.js); here is who waits for it. A turn makes
five requests to servers next door; a general client, with sessions, streams and hooks, takes three
times the processor time for each (benchmarks/http_client.py).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

_MAX_HEAD_BYTES = 64 << 10
_MAX_CHUNK_HEAD_BYTES = 8  # around a chunk of one byte
_NO_BODY = (204, 304)


class TooLong(ValueError):
    """A reply of more bytes than were allowed."""


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


class Connection(asyncio.Protocol):
    """An open connection; `ask` on it, one request after another.

    Attributes:
        begun: Whether a byte of the reply to the latest request came.
        reusable: Whether another request may follow the latest reply.
        used_s: When it was last used, on the loop's clock; whoever keeps it writes it.
    """

    def __init__(self) -> None:
        self.begun, self.reusable, self.used_s = False, True, 0.0
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Response] | None = None
        self._parser = HttpResponseParser(self)
        self._max_bytes = self._num_bytes = self._num_received = 0
        self._to_the_end = False
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []

    @property
    def closed(self) -> bool:
        """Whether either side has ended it."""
        return self._transport is None or self._transport.is_closing()

    async def ask(self, message: bytes, *, timeout_s: float, max_bytes: int) -> Response:
        """Send a request and read its reply; the connection is closed where that fails.

        Args:
            message: The request as it goes over the wire.
            timeout_s: Longest wait for the last byte.
            max_bytes: Longest body of a reply.

        Raises:
            TimeoutError: It was not there in time.
            ConnectionError: The connection was lost, or what came is not HTTP.
            TooLong: It has more than `max_bytes`.
        """
        if self._transport is None or self._waiting is not None:
            raise RuntimeError("a connection answers one request at a time")
        self._waiting, self.begun, self.reusable = self._loop.create_future(), False, False
        self._max_bytes, self._num_received = max_bytes, 0
        self._begin()
        late = self._loop.call_later(timeout_s, self._fail, TimeoutError())
        try:
            if self._transport.is_closing():  # it ended before anybody wrote to it
                raise ConnectionResetError("the connection was closed")
            self._transport.write(message)
            return await self._waiting
        except BaseException:  # given up, too: the server stops working on it
            self.close()
            raise
        finally:
            late.cancel()
            self._waiting = None

    def close(self) -> None:
        """Close it at once; a request under way fails."""
        if self._transport is not None:
            self._transport.abort()

    # --- what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is open."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of a reply."""
        if self._waiting is None or self._waiting.done():  # nobody asked for it
            self.close()
            return
        self.begun = True
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(ConnectionError(f"its reply is not HTTP: {error}"))
            return
        self._num_received += len(data)
        around = self._num_received - self._num_bytes
        if around > _MAX_HEAD_BYTES + _MAX_CHUNK_HEAD_BYTES * self._num_bytes:
            self._fail(TooLong(f"more than {_MAX_HEAD_BYTES} bytes around its body"))

    def connection_lost(self, error: Exception | None) -> None:
        """The connection ended, by either side or with an error."""
        if error is None and self._to_the_end:  # the end of the connection is the body's
            self._done()
        self._fail(ConnectionResetError(str(error or "the server closed the connection")))

    # --- what the parser calls

    def on_message_begin(self) -> None:
        """A reply begins."""
        if self._waiting is not None and self._waiting.done():
            self.reusable = False  # more than was asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        status = self._parser.get_status_code()
        self._to_the_end = (
            status >= 200
            and status not in _NO_BODY
            and "content-length" not in self._headers
            and "transfer-encoding" not in self._headers
        )

    def on_body(self, piece: bytes) -> None:
        """A piece of its body."""
        self._num_bytes += len(piece)
        if self._num_bytes > self._max_bytes:
            self._fail(TooLong(f"more than {self._max_bytes} bytes"))
        else:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        """A reply is whole."""
        if self._parser.get_status_code() < 200:  # the reply itself is yet to come
            self._begin()
            return
        self.reusable = self._parser.should_keep_alive()
        self._done()

    def _begin(self) -> None:
        self._headers, self._body, self._num_bytes, self._to_the_end = {}, [], 0, False

    def _done(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            status = self._parser.get_status_code()
            self._waiting.set_result(Response(status, b"".join(self._body), self._headers))

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
