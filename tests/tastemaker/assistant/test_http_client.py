"""Requests over real sockets, to servers that end connections when it suits them least."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import pytest

from tastemaker.assistant.http_client import Pool, Request, TooLong, fault_of

OK = b"HTTP/1.1 200 OK\r\nX-Told: yes\r\nContent-Length: 2\r\n\r\nok"
Handle = Callable[[int, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Reads requests of known length and lets `handle` answer each, told which number it is."""

    def __init__(self, handle: Handle) -> None:
        self.handle, self.num_requests, self.num_connections, self.lost = handle, 0, 0, 0
        self.heads: list[bytes] = []

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.num_connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                if head.startswith(b"POST"):
                    await reader.readexactly(4)
                self.num_requests += 1
                answering = asyncio.ensure_future(self.handle(self.num_requests, writer))
                gone = asyncio.ensure_future(reader.read(1))
                await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    self.lost += 1
                    answering.cancel()
                    return
                gone.cancel()
                await asyncio.gather(gone, return_exceptions=True)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def ok(_: int, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)


def drops(*numbers: int) -> Handle:
    """Closes the connection instead of answering these requests."""

    async def handle(number: int, writer: asyncio.StreamWriter) -> None:
        if number in numbers:
            writer.close()
        else:
            writer.write(OK)

    return handle


def against(
    handle: Handle, use: Callable[[Pool, Callable[..., Request]], Awaitable[None]]
) -> Server:
    """Run `use` with a pool and a maker of requests to a server that answers by `handle`."""
    server = Server(handle)

    async def go() -> None:
        listening = await asyncio.start_server(server.connected, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"

        def post(timeout_s: float = 5.0, body: bytes | None = b"body", **more: int) -> Request:
            return Request(url, timeout_s, body, {"traceparent": "00-1"}, **more)

        async with listening, aclosing(Pool()) as http:
            await use(http, post)

    asyncio.run(go())
    return server


def test_one_connection_serves_many_requests() -> None:
    async def use(http: Pool, post: Callable[..., Request]) -> None:
        for _ in range(3):
            reply = await http.send(post())
            assert (reply.status, reply.body, reply.headers["x-told"]) == (200, b"ok", "yes")
        assert await fault_of(http, post().url) == ""

    server = against(ok, use)
    assert (server.num_requests, server.num_connections) == (4, 1)
    assert b"traceparent: 00-1" in server.heads[0]
    assert server.heads[3].startswith(b"GET / ")


def test_a_kept_connection_that_ends_under_a_request_costs_it_nothing() -> None:
    async def use(http: Pool, post: Callable[..., Request]) -> None:
        await http.send(post())
        assert (await http.send(post())).body == b"ok"
        assert (await http.send(post())).body == b"ok"

    server = against(drops(2), use)
    assert (server.num_requests, server.num_connections) == (4, 3)


def test_it_is_sent_again_once() -> None:
    async def use(http: Pool, post: Callable[..., Request]) -> None:
        await http.send(post())
        with pytest.raises(ConnectionError):
            await http.send(post())

    assert against(drops(2, 3), use).num_requests == 3


def test_a_new_connection_that_ends_is_the_servers_fault() -> None:
    async def use(http: Pool, post: Callable[..., Request]) -> None:
        with pytest.raises(ConnectionError):
            await http.send(post())

    assert against(drops(1), use).num_requests == 1


@pytest.mark.parametrize("piece", [OK[:-1], OK[:30]])
def test_a_reply_that_began_is_not_asked_for_again(piece: bytes) -> None:
    async def handle(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if number == 1 else piece)
        if number == 2:
            writer.close()

    async def use(http: Pool, post: Callable[..., Request]) -> None:
        await http.send(post())
        with pytest.raises(ConnectionError):
            await http.send(post())

    assert against(handle, use).num_requests == 2


async def never(_: int, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


def test_the_deadline_is_for_the_whole_reply() -> None:
    async def drip(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK[:-2])
        await asyncio.sleep(60)

    async def use(http: Pool, post: Callable[..., Request]) -> None:
        with pytest.raises(TimeoutError):
            await http.send(post(timeout_s=0.1))
        await asyncio.sleep(0.05)

    for slow in (never, drip):
        assert against(slow, use).lost == 1  # the server hears of it


def test_a_request_that_is_given_up_ends_at_the_server() -> None:
    async def use(http: Pool, post: Callable[..., Request]) -> None:
        asking = asyncio.ensure_future(http.send(post()))
        await asyncio.sleep(0.1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(0.05)

    assert against(never, use).lost == 1


def test_a_reply_is_bounded() -> None:
    async def use(http: Pool, post: Callable[..., Request]) -> None:
        with pytest.raises(TooLong, match="more than 1 bytes"):
            await http.send(post(max_bytes=1))

    against(ok, use)


def test_nobody_there_is_told() -> None:
    async def ask() -> str:
        async with aclosing(Pool()) as http:
            return await fault_of(http, "http://127.0.0.1:9/")

    assert "127.0.0.1:9" in asyncio.run(ask())


def test_a_redirect_is_no_success_and_not_followed() -> None:
    async def elsewhere(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n")

    async def use(http: Pool, post: Callable[..., Request]) -> None:
        assert await fault_of(http, post().url) == "HTTP 302"

    assert against(elsewhere, use).num_requests == 1
