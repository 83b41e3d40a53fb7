"""The local counterpart of a cluster's Gateway: stable addresses in front of changing processes.

Every address is on 127.0.0.1: an assistant that asks for no credentials must not be reached from
elsewhere. Bodies stream in both directions; a client that leaves ends its request at the backend.
"""

from collections.abc import AsyncIterator, Callable

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from tastemaker.promotion.bundle import BUNDLE_HEADER, FAILED_HEADER
from tastemaker.serving.routes import Backend, Route

HOST = "127.0.0.1"
MAX_BUFFERED_BYTES = 1 << 20  # a longer or unsized body streams, and cannot be sent twice
_MAX_HEAD_BYTES = 1 << 16  # of one header or the request line, as the servers behind take
_CONNECT_S = 5.0
_KEEP_ALIVE_S = 2.0  # less than the 5 s of uvicorn: a connection is never used as it is closed
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection")
) | frozenset(("te", "trailer", "transfer-encoding", "upgrade", "expect"))
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))

Body = bytes | AsyncIterator[bytes] | None


class _Unanswered(Exception):
    """A backend that gave no answer.

    Args:
        reason: For the client.
        again: Whether the same request may be sent once more.
    """

    def __init__(self, reason: str, *, again: bool) -> None:
        super().__init__(reason)
        self.again = again


class Proxy:
    """Listens on any number of ports, each of which leads to a route; use as `async with`."""

    def __init__(self) -> None:
        self.closing = False  # set when the end is near: connections are not kept
        self._routes: dict[int, Callable[[], Route]] = {}
        self._sites: dict[int, web.TCPSite] = {}

    async def __aenter__(self) -> "Proxy":
        """Be ready to listen."""
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            read_bufsize=1 << 16,
            max_line_size=_MAX_HEAD_BYTES,
            max_field_size=_MAX_HEAD_BYTES,
        )
        server = web.Server(
            self._answer,  # type: ignore[arg-type]
            handler_cancellation=True,
            access_log=None,
            max_line_size=_MAX_HEAD_BYTES,
            max_field_size=_MAX_HEAD_BYTES,
            auto_decompress=False,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._runner.cleanup()
        await self._http.close()

    async def listen(self, port: int, route: Callable[[], Route]) -> None:
        """Serve a port.

        Args:
            port: On 127.0.0.1.
            route: Asked at each request.

        Raises:
            OSError: The port is taken.
        """
        site = web.TCPSite(self._runner, HOST, port)
        await site.start()
        self._sites[port], self._routes[port] = site, route

    async def leave(self, port: int) -> None:
        """Serve a port no more; requests under way are still answered."""
        await self._sites.pop(port).stop()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        port = request.transport.get_extra_info("sockname")[1]
        route = self._routes[port]()
        if not request.raw_path.startswith("/"):
            return _refusal(400, "the request's target must be a path")
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        body = await _body(request)
        failed, reason = None, f"{route.name} is not up"
        for _ in range(2):
            backend = route.pick(failed)
            if backend is None:
                break
            backend.in_flight += 1
            try:
                response = await self._forward(request, body, backend, failed)
                if self.closing:
                    response.force_close()
                return response
            except _Unanswered as fault:
                failed, reason = backend, f"{route.name} did not answer: {fault}"
                if not fault.again:
                    return _refusal(502, reason, backend)
            finally:
                backend.in_flight -= 1
        return _refusal(503 if failed is None else 502, reason, failed)

    async def _forward(
        self, request: web.BaseRequest, body: Body, backend: Backend, failed: Backend | None
    ) -> web.StreamResponse:
        """Send a request to a backend, after one that failed, and its answer to the client."""
        repeatable = not isinstance(body, AsyncIterator) and (
            backend.repeatable or request.method in _SAFE_METHODS
        )
        try:
            answer = await self._http.request(
                request.method,
                URL(backend.url + request.raw_path, encoded=True),
                headers=_request_headers(request),
                data=body,
                allow_redirects=False,
            )
        except aiohttp.ClientConnectorError as error:  # nothing was sent, nor read of the client
            raise _Unanswered(str(error.os_error), again=True) from None
        except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
            raise _Unanswered(_said(error), again=repeatable) from None
        async with answer:
            headers = _response_headers(answer, backend, failed)
            length = answer.content_length
            if request.method == "HEAD" or (length is not None and length <= MAX_BUFFERED_BYTES):
                return await _whole(answer, headers, again=repeatable)
            return await _streamed(request, answer, headers)


async def _body(request: web.BaseRequest) -> Body:
    if not request.can_read_body:
        return None
    length = request.content_length
    if length is not None and length <= MAX_BUFFERED_BYTES:
        return await request.content.read()
    return aiter(request.content.iter_any())


async def _whole(
    answer: aiohttp.ClientResponse, headers: CIMultiDict[str], *, again: bool
) -> web.Response:
    try:
        content = await answer.read()
    except (aiohttp.ClientError, ConnectionError) as error:
        raise _Unanswered(_said(error), again=again) from None
    return web.Response(
        status=answer.status, reason=answer.reason, headers=headers, body=content or None
    )


async def _streamed(
    request: web.BaseRequest, answer: aiohttp.ClientResponse, headers: CIMultiDict[str]
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    await response.prepare(request)
    while True:
        try:
            chunk = await answer.content.readany()
        except (aiohttp.ClientError, ConnectionError):
            # Half an answer must not look like a whole one.
            if request.transport is not None:
                request.transport.abort()
            return response
        if not chunk:
            break
        await response.write(chunk)
    await response.write_eof()
    return response


def _request_headers(request: web.BaseRequest) -> CIMultiDict[str]:
    headers = _end_to_end(request.headers)
    given = [headers.popone("X-Forwarded-For")] if "X-Forwarded-For" in headers else []
    headers["X-Forwarded-For"] = ", ".join([*given, request.remote or HOST])
    headers.setdefault("X-Forwarded-Proto", "http")
    if host := headers.get("Host"):
        headers.setdefault("X-Forwarded-Host", host)
    return headers


def _response_headers(
    answer: aiohttp.ClientResponse, backend: Backend, failed: Backend | None
) -> CIMultiDict[str]:
    headers = _end_to_end(answer.headers)
    if backend.bundle:
        headers[BUNDLE_HEADER] = backend.bundle
    if failed is not None and failed.bundle:
        headers[FAILED_HEADER] = failed.bundle
    return headers


def _end_to_end(headers: "CIMultiDict[str] | object") -> CIMultiDict[str]:
    """A message's headers without those that are for one connection."""
    kept: CIMultiDict[str] = CIMultiDict(headers)  # type: ignore[arg-type]
    named = {name.strip().lower() for name in ",".join(kept.getall("Connection", ())).split(",")}
    for name in [name for name in kept if name.lower() in _HOP_BY_HOP | named]:
        kept.popall(name, None)
    return kept


def _refusal(status: int, reason: str, failed: Backend | None = None) -> web.Response:
    """An answer of our own; it names the bundle that gave none."""
    kind = "invalid_request_error" if status == 400 else "unavailable"
    body = {"error": {"message": reason, "type": kind, "code": None, "param": None}}
    headers = {"Retry-After": "1"} if status == 503 else {}
    if failed is not None and failed.bundle:
        headers[BUNDLE_HEADER] = failed.bundle
    return web.json_response(body, status=status, headers=headers)


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
