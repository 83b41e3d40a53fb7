"""The stable address in front of real servers: what goes through, and how."""

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import aiohttp
import pytest

from tastemaker.serving.proxy import Proxy
from tastemaker.serving.routes import Route
from tests.tastemaker.serving.conftest import free_port, wait_until_answers
from tests.tastemaker.serving.small_servers import SERVER

pytestmark = pytest.mark.anyio
A = "a" * 16


@dataclass(eq=False)
class At:
    """A backend at a fixed port."""

    port: int
    bundle: str = A
    repeatable: bool = True
    in_flight: int = 0
    accepts: bool = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as the real one runs


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Port of a small server."""
    port, log = free_port(), tmp_path_factory.mktemp("backend") / "log"
    command = [sys.executable, SERVER, "--port", str(port), "--bundle", A]
    process = subprocess.Popen(command, stdout=log.open("wb"), stderr=subprocess.STDOUT)
    try:
        wait_until_answers(f"http://127.0.0.1:{port}/health", process, log, timeout_s=30)
        yield port
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def through(*backends: At) -> AsyncIterator[str]:
    """Address of a proxy in front of backends with equal shares."""
    route, port = Route("one", Random(0)), free_port()
    route.lead_to([(backend, 50) for backend in backends])
    async with Proxy() as proxy:
        await proxy.listen(port, lambda: route)
        yield f"http://127.0.0.1:{port}"


async def test_headers_path_and_body_arrive_and_the_bundle_is_named(backend: int) -> None:
    async with through(At(backend)) as url, aiohttp.ClientSession() as client:
        sent = [("X-Two", "1"), ("X-Two", "2"), ("Connection", "X-Hop, keep-alive"), ("X-Hop", "1")]
        sent += [("X-Forwarded-For", "10.0.0.9"), ("Host", "shop.example:80"), ("TE", "trailers")]
        async with client.post(f"{url}/a%2Fb/?q=%20x", data=b"12345", headers=sent) as reply:
            got = await reply.json()
            assert reply.headers["x-tastemaker-bundle"] == A
    assert got["path"] == "/a%2Fb/?q=%20x"
    assert got["received"] == 5
    headers = [(name.lower(), value) for name, value in got["headers"]]
    assert [value for name, value in headers if name == "x-two"] == ["1", "2"]
    named = dict(headers)
    assert named["host"] == "shop.example:80"
    assert named["x-forwarded-host"] == "shop.example:80"
    assert named["x-forwarded-for"] == "10.0.0.9, 127.0.0.1"
    assert named["x-forwarded-proto"] == "http"
    assert named["content-length"] == "5"
    assert not {"x-hop", "te"} & set(named)


async def test_it_listens_on_this_machine_only(backend: int) -> None:
    async with through(At(backend)) as url:
        port = int(url.rpartition(":")[2])
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        listening = [line.split()[1] for line in lines if line.split()[3] == "0A"]
        assert [a for a in listening if a.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


async def test_events_of_a_stream_arrive_as_they_are_sent(backend: int) -> None:
    arrived = []
    async with (
        through(At(backend)) as url,
        aiohttp.ClientSession() as client,
        client.get(f"{url}/stream?events=5&every=0.3") as reply,
    ):
        assert reply.headers["Content-Type"] == "text/event-stream"
        async for line in reply.content:
            if line.startswith(b"data: "):
                arrived.append(time.time() - float(line.split()[2]))
    assert len(arrived) == 5
    assert max(arrived) < 0.25  # less than the pause between two


async def test_a_client_that_leaves_ends_its_request_at_the_backend(backend: int) -> None:
    at = At(backend)
    async with through(at) as url, aiohttp.ClientSession() as client:
        with pytest.raises(TimeoutError):
            await client.get(f"{url}/slow", timeout=aiohttp.ClientTimeout(total=0.5))
        with pytest.raises(TimeoutError):
            async with client.get(
                f"{url}/stream?events=1000", timeout=aiohttp.ClientTimeout(total=0.5)
            ) as reply:
                await reply.read()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            async with client.get(f"{url}/count") as reply:
                if (await reply.json())["cancelled"] == 1 and at.in_flight == 0:
                    return
            await asyncio.sleep(0.05)
    pytest.fail("the backend still works for a client that left")


async def test_a_big_upload_streams_through_whole(backend: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(512):
            yield b"x" * (1 << 16)

    async with through(At(backend)) as url, aiohttp.ClientSession() as client:
        async with client.post(url, data=pieces()) as reply:  # chunked
            assert (await reply.json())["received"] == 32 << 20
        big = b"y" * (20 << 20)
        async with client.post(url, data=big) as reply:  # sized
            got = await reply.json()
    assert got["received"] == len(big)
    assert ["Content-Length", str(len(big))] in got["headers"]


async def test_a_big_download_streams_through_whole(backend: int) -> None:
    async with (
        through(At(backend)) as url,
        aiohttp.ClientSession() as client,
        client.get(f"{url}/download?bytes={32 << 20}") as reply,
    ):
        assert reply.headers["Content-Length"] == str(32 << 20)
        assert len(await reply.read()) == 32 << 20


async def test_a_head_request_keeps_the_length_and_has_no_body(backend: int) -> None:
    async with through(At(backend)) as url:
        port = int(url.rpartition(":")[2])

        def head() -> tuple[int, str | None, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("HEAD", "/")
            reply = connection.getresponse()
            return reply.status, reply.headers["Content-Length"], reply.read()

        status, length, body = await asyncio.to_thread(head)
    assert status == 200
    assert length is not None
    assert int(length) > 0
    assert body == b""


async def test_expect_continue_is_answered_before_the_body(backend: int) -> None:
    async with through(At(backend)) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        writer.write(head.encode())
        assert b"100 Continue" in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        writer.write(b"abc")
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), 5)
        writer.close()


async def test_half_an_answer_is_not_made_whole(backend: int) -> None:
    async with through(At(backend)) as url, aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ClientError):
            async with client.get(f"{url}/half") as reply:
                await reply.read()


async def test_a_backend_that_is_gone_is_replaced_by_the_other(backend: int) -> None:
    gone, there = At(free_port(), "b" * 16, repeatable=False), At(backend)
    async with through(gone, there) as url, aiohttp.ClientSession() as client:
        for body in (b"", b"small", b"x" * (2 << 20)):
            failed = set()
            for _ in range(8):  # the one that is gone has its turn among them
                async with client.post(url, data=body) as reply:
                    assert reply.status == 200
                    assert reply.headers["x-tastemaker-bundle"] == A
                    failed.add(reply.headers.get("x-tastemaker-failed-bundle"))
                    assert (await reply.json())["received"] == len(body)
            assert failed == {None, "b" * 16}  # who was asked in vain


@pytest.mark.parametrize(("repeatable", "connections"), [(True, 2), (False, 1)])
async def test_a_request_that_may_have_had_an_effect_is_sent_once(
    repeatable: bool, connections: int
) -> None:
    taken = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    at = At(server.sockets[0].getsockname()[1], repeatable=repeatable)
    async with (
        server,
        through(at) as url,
        aiohttp.ClientSession() as client,
        client.post(url, data=b"one") as reply,
    ):
        assert reply.status == 502
        assert reply.headers["x-tastemaker-bundle"] == A
        assert "one did not answer" in (await reply.json())["error"]["message"]
    assert len(taken) == connections


async def test_without_a_backend_the_answer_says_so(backend: int) -> None:
    down = At(backend, accepts=False)
    async with (
        through(down) as url,
        aiohttp.ClientSession() as client,
        client.get(url) as reply,
    ):
        assert reply.status == 503
        assert reply.headers["Retry-After"] == "1"
        assert "one is not up" in (await reply.json())["error"]["message"]


async def test_it_is_no_open_proxy(backend: int) -> None:
    async with through(At(backend)) as url:
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), 5) as raw:
            raw.sendall(b"GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n")
            raw.settimeout(5)
            answer = await asyncio.to_thread(raw.recv, 4096)
    assert b"400 " in answer.split(b"\r\n")[0]


async def test_connections_are_kept(backend: int) -> None:
    def ports_of_two(port: int) -> list[int]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        ports = []
        for _ in range(2):
            connection.request("GET", "/")
            assert json.loads(connection.getresponse().read())["bundle"] == A
            ports.append(connection.sock.getsockname()[1])
        return ports

    async with through(At(backend)) as url:
        first, second = await asyncio.to_thread(ports_of_two, int(url.rpartition(":")[2]))
    assert first == second
