"""Where a run-time tool lives: addresses that may be called, and how much is read from them.

An operator names an endpoint, so what it resolves to is not to be trusted: it must not reach the
services behind the assistant. The check is made at each request, on the very address that is
then connected to, so a name that resolves to something else later is caught as well.
"""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import httpx2

from tastemaker.core.errors import DataError

MAX_REPLY_BYTES = 1 << 20
_MAX_URL_CHARS = 2000
_PORTS = {"http": 80, "https": 443}
# Ways to write an IPv4 address inside an IPv6 one that a gateway may unwrap.
_WRAPPED = [ipaddress.ip_network(net) for net in ("64:ff9b::/96", "2002::/16", "2001::/32")]

Resolve = Callable[[str, int], Awaitable[list[str]]]


class EndpointRefused(DataError):
    """An endpoint that may not be called."""


def check_url(url: str) -> str:
    """An endpoint's URL as it is stored.

    Raises:
        EndpointRefused: Not http(s) with a plain host, or too long.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise EndpointRefused(f"url={url[:100]!r} is not a URL") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise EndpointRefused(f"url={url[:100]!r} must be http:// or https:// with a host")
    if parts.username is not None or parts.password is not None:
        raise EndpointRefused(
            "url: a name or password in it would be stored in clear; leave it out"
        )
    if parts.fragment or len(url) > _MAX_URL_CHARS or port == 0 or not url.isprintable():
        raise EndpointRefused(
            f"url={url[:100]!r}: no fragment, at most {_MAX_URL_CHARS} characters"
        )
    return url.strip()


def check_address(address: str, *, allow_private: bool) -> None:
    """Refuse an IP address that is not out on the Internet.

    Args:
        address: IPv4 or IPv6.
        allow_private: Let loopback and private networks pass; link-local addresses, where clouds
            keep their credentials, and multicast never pass.

    Raises:
        EndpointRefused: It may not be called.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    never = ip.is_link_local or ip.is_multicast or ip.is_unspecified
    wrapped = any(ip.version == net.version and ip in net for net in _WRAPPED)
    if never or (not allow_private and (wrapped or not ip.is_global)):
        raise EndpointRefused(f"the endpoint resolves to {ip}, which may not be called")


async def check_endpoint(url: str, *, allow_private: bool, resolve: Resolve | None = None) -> None:
    """Check a URL and all that its host resolves to.

    Raises:
        EndpointRefused: It may not be called, or its host is unknown.
    """
    parts = urlsplit(check_url(url))
    host, port = str(parts.hostname), parts.port or _PORTS[parts.scheme]
    for address in await (resolve or addresses)(host, port):
        check_address(address, allow_private=allow_private)


async def addresses(host: str, port: int) -> list[str]:
    """What a host name resolves to.

    Raises:
        EndpointRefused: Nothing.
    """
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise EndpointRefused(f"the host {host[:100]!r} is unknown") from None
    return [str(info[4][0]) for info in found]


class GuardedTransport(httpx2.AsyncBaseTransport):
    """HTTP to checked addresses alone, reading at most `MAX_REPLY_BYTES` of a reply.

    Args:
        allow_private: As for `check_address`.
        inner: What carries the requests.
        resolve: Host and port to addresses.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        inner: httpx2.AsyncBaseTransport | None = None,
        resolve: Resolve = addresses,
    ) -> None:
        self.allow_private, self.resolve = allow_private, resolve
        self.inner = inner or httpx2.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Resolve, check, connect to what was checked, and bound the reply."""
        host = request.url.host
        found = await self.resolve(host, request.url.port or _PORTS[request.url.scheme])
        for address in found:
            check_address(address, allow_private=self.allow_private)
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=found[0])  # the Host header keeps the name
        request.headers["Accept-Encoding"] = "identity"
        response = await self.inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise httpx2.DecodingError("a compressed reply was not asked for", request=request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _Bounded(response.stream)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self.inner.aclose()


class _Bounded(httpx2.AsyncByteStream):
    """A stream that fails past `MAX_REPLY_BYTES`."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        num_bytes = 0
        async for piece in self.stream:
            num_bytes += len(piece)
            if num_bytes > MAX_REPLY_BYTES:
                raise httpx2.ReadError(f"the reply is longer than {MAX_REPLY_BYTES} bytes")
            yield piece

    async def aclose(self) -> None:
        await self.stream.aclose()
