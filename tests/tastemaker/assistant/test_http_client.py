"""Requests over real sockets, to servers that end connections when it suits them least."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tastemaker.assistant.http_client import Pool, Request, fault_of
from tastemaker.assistant.http_connection import TooLong

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
    assert (server.num_requests, server.num_connections) == (4, 2)


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


FORMS = {
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK,
    "continue": b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("at_once", [True, False])
def test_forms_of_a_reply(form: str, at_once: bool) -> None:
    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        whole = FORMS[form]
        for piece in (whole,) if at_once else (bytes((byte,)) for byte in whole):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)

    async def use(http: Pool, post: Callable[..., Request]) -> None:
        for _ in range(2):
            reply = await http.send(post())
            assert (reply.status, reply.body) == (200, b"ok")
            assert "link" not in reply.headers

    assert against(handle, use).num_connections == 1


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        writer.close()

    async def use(http: Pool, post: Callable[..., Request]) -> None:
        for _ in range(2):
            assert (await http.send(post())).body == b"all of it"

    assert against(handle, use).num_connections == 2


@pytest.mark.parametrize("more", [b"Connection: close\r\n", b"\r\nokHTTP/1.1 200 OK\r\n"])
def test_a_connection_that_cannot_be_used_again_is_not(more: bytes) -> None:
    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK.replace(b"\r\nok", more + b"\r\nok"))

    async def use(http: Pool, post: Callable[..., Request]) -> None:
        for _ in range(2):
            assert (await http.send(post())).body == b"ok"

    assert against(handle, use).num_connections == 2


def test_what_nobody_asked_for_ends_the_connection() -> None:
    async def handle(number: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.05)
        if number == 1:
            writer.write(OK.replace(b"ok", b"no"))

    async def use(http: Pool, post: Callable[..., Request]) -> None:
        for _ in range(2):
            assert (await http.send(post())).body == b"ok"
            await asyncio.sleep(0.1)

    assert against(handle, use).num_connections == 2


WRONG = {
    "no HTTP": (b"220 ready\r\n", ConnectionError, "not HTTP"),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        ConnectionError,
        "not HTTP",
    ),
    "endless head": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, TooLong, "around its body"),
    "endless trailer": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 70_000,
        TooLong,
        "around its body",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_reply_that_is_none(case: str) -> None:
    said, error, words = WRONG[case]

    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await asyncio.sleep(60)

    async def use(http: Pool, post: Callable[..., Request]) -> None:
        with pytest.raises(error, match=words):
            await http.send(post())
        await asyncio.sleep(0.05)

    assert against(handle, use).lost == 1


def test_many_at_once_have_a_connection_each_and_keep_it() -> None:
    async def handle(_: int, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        writer.write(OK)

    async def use(http: Pool, post: Callable[..., Request]) -> None:
        for _ in range(3):
            replies = await asyncio.gather(*(http.send(post()) for _ in range(20)))
            assert {reply.body for reply in replies} == {b"ok"}

    assert against(handle, use).num_connections == 20


def test_closing_ends_what_is_under_way() -> None:
    async def use(http: Pool, post: Callable[..., Request]) -> None:
        asking = asyncio.ensure_future(http.send(post()))
        await asyncio.sleep(0.1)
        await http.aclose()
        with pytest.raises(ConnectionError):
            await asking
        await asyncio.sleep(0.05)

    assert against(never, use).lost == 1


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1/", "http://", "127.0.0.1:80/", "http://[1"],
)
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(ConnectionError, match="is no http or https address"):
        asyncio.run(_send(Request(url, 1.0)))


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConnectionError, match=r"of models\.test holds a user name") as no:
        asyncio.run(_send(Request("https://me:secret@models.test/", 1.0)))
    assert "secret" not in str(no.value)


def test_nothing_is_smuggled_in() -> None:
    async def use(http: Pool, post: Callable[..., Request]) -> None:
        url = post().url
        with pytest.raises(ConnectionError, match="holds a line's end"):
            await http.send(Request(url, 1.0, headers={"X": "a\r\nY: b"}))
        await http.send(Request(f"{url}a b?c=d é\r\nX: y", 1.0))

    server = against(ok, use)
    assert server.heads[0].startswith(b"GET /a%20b?c=d%20%C3%A9")
    assert b"\r\nX:" not in server.heads[0]


async def _send(request: Request, **more: object) -> bytes:
    async with aclosing(Pool(**more)) as http:  # type: ignore[arg-type]
        return (await http.send(request)).body


def test_tls_is_checked(tmp_path: Path) -> None:
    key, certificate = _signed_by_itself(tmp_path)

    async def ask(trusted: ssl.SSLContext | None) -> bytes:
        server = Server(ok)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        listening = await asyncio.start_server(server.connected, "127.0.0.1", 0, ssl=context)
        async with listening:
            port = listening.sockets[0].getsockname()[1]
            return await _send(Request(f"https://localhost:{port}/", 5.0), tls=trusted)

    with pytest.raises(ConnectionError, match="certificate"):
        asyncio.run(ask(None))
    assert asyncio.run(ask(ssl.create_default_context(cafile=str(certificate)))) == b"ok"


def _signed_by_itself(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "key.pem", folder / "certificate.pem"
    files[0].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    files[1].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return files
