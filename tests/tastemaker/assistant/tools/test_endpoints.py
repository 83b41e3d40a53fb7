import asyncio
from collections.abc import AsyncIterator, Callable

import httpx2
import pytest

from tastemaker.assistant.tools import endpoints
from tastemaker.assistant.tools.endpoints import (
    EndpointRefused,
    GuardedTransport,
    check_address,
    check_endpoint,
    check_url,
)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/mcp",
        "file:///etc/passwd",
        "gopher://example.com",
        "http://",
        "//example.com/mcp",
        "example.com/mcp",
        "http://user:secret@example.com/mcp",
        "http://example.com/mcp#part",
        "http://example.com:0/mcp",
        "http://example.com:99999/mcp",
        "http://[::1/mcp",
        "http://exa\nmple.com/mcp",
        "http://example.com/" + "x" * 2000,
        "",
    ],
)
def test_urls_that_are_no_endpoints_are_refused(url: str) -> None:
    with pytest.raises(EndpointRefused):
        check_url(url)


PRIVATE = ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fc00::1"]
PRIVATE += ["::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:1::1", "198.18.0.1"]
NEVER = ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "224.0.0.1", "0.0.0.0", "::"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_pass_only_where_they_are_allowed(address: str) -> None:
    check_address(address, allow_private=True)
    with pytest.raises(EndpointRefused, match="may not be called"):
        check_address(address, allow_private=False)


@pytest.mark.parametrize("address", NEVER)
def test_link_local_addresses_never_pass(address: str) -> None:
    with pytest.raises(EndpointRefused, match="may not be called"):
        check_address(address, allow_private=True)


def test_addresses_out_on_the_internet_pass() -> None:
    for address in ("93.184.215.14", "2606:4700::1111"):
        check_address(address, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/mcp",
        "http://127.1/mcp",
        "http://2130706433/mcp",
        "http://0x7f000001/mcp",
        "http://[::ffff:7f00:1]/mcp",
    ],
)
def test_other_spellings_of_this_machine_are_seen_through(url: str) -> None:
    with pytest.raises(EndpointRefused):
        asyncio.run(check_endpoint(url, allow_private=False))


def test_one_bad_address_among_good_ones_is_enough() -> None:
    async def both(host: str, port: int) -> list[str]:
        return ["93.184.215.14", "10.0.0.1"]

    with pytest.raises(EndpointRefused, match=r"10\.0\.0\.1"):
        asyncio.run(check_endpoint("https://x.org/mcp", allow_private=False, resolve=both))


class Inner(httpx2.AsyncBaseTransport):
    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self.answer, self.requests = answer, list[httpx2.Request]()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        return self.answer(request)


async def get(inner: Inner, *resolved: str, allow_private: bool = False) -> httpx2.Response:
    found = iter(resolved)

    async def resolve(host: str, port: int) -> list[str]:
        return [next(found)]

    transport = GuardedTransport(allow_private=allow_private, inner=inner, resolve=resolve)
    async with httpx2.AsyncClient(transport=transport, trust_env=False) as http:
        for _ in resolved:
            response = await http.get("https://tools.example/mcp")
        return response


def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    inner = Inner(lambda _: httpx2.Response(200, text="ok"))
    with pytest.raises(EndpointRefused):  # the name resolves to something else the second time
        asyncio.run(get(inner, "93.184.215.14", "127.0.0.1"))
    assert [str(request.url) for request in inner.requests] == ["https://93.184.215.14/mcp"]
    assert inner.requests[0].headers["host"] == "tools.example"
    assert inner.requests[0].extensions["sni_hostname"] == "tools.example"


class Endless(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536


def test_a_reply_without_end_is_cut_off() -> None:
    inner = Inner(lambda _: httpx2.Response(200, stream=Endless()))
    with pytest.raises(httpx2.ReadError, match=str(endpoints.MAX_REPLY_BYTES)):
        asyncio.run(get(inner, "93.184.215.14"))


def test_a_compressed_reply_is_not_unpacked() -> None:
    def bomb(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-encoding": "gzip"}, stream=Endless())

    with pytest.raises(httpx2.DecodingError, match="not asked for"):
        asyncio.run(get(Inner(bomb), "93.184.215.14"))
