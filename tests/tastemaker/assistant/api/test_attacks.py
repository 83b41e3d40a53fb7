"""Requests made to break the assistant: too large, too deep, forged, from another site."""

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from tastemaker.assistant.api.page import Guard
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.tools.photo import open_photo
from tastemaker.assistant.tools.situation import CallError
from tastemaker.core.errors import DataError
from tastemaker.encoder.pictures import decode
from tests.tastemaker.assistant.conftest import Gateway, Servers, serving

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}
ASKED = [{"role": "user", "content": "pink vase"}]


@cache
def bomb(side: int) -> bytes:
    """A PNG of side x side white pixels in few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compressobj(9)
    row = b"\x00" + b"\xff" * ((side + 7) // 8)
    packed = b"".join(rows.compress(row * 100) for _ in range(side // 100)) + rows.flush()
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def pictures(*urls: str) -> list[dict[str, Any]]:
    return [{"type": "image_url", "image_url": {"url": url}} for url in urls]


def data_url(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"


def refused(reply: httpx.Response, *statuses: int) -> str:
    """The reason of a refusal in the form that every error has."""
    assert reply.status_code in (statuses or (400,)), reply.text[:300]
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return str(error["message"])


@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/api/events", "/api/boards", "/mcp"])
def test_a_body_of_13_mib_is_refused(gateway: Gateway, path: str) -> None:
    long = json.dumps({"messages": ASKED, "input": "x" * (13 << 20)})
    assert "longer than" in refused(gateway.http.post(path, content=long, headers=JSON), 413)

    def pieces() -> Iterator[bytes]:  # no Content-Length to believe
        for _ in range(13):
            yield b" " * (1 << 20)

    assert gateway.http.post(path, content=pieces(), headers=JSON).status_code == 413


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_unpacks_to_gigapixels_is_refused_before_it_does() -> None:
    picture = bomb(50_000)
    assert len(picture) < 1 << 20
    with pytest.raises(DataError, match="cannot be decoded"):
        decode(picture, 224)
    with pytest.raises(CallError, match="pixels"):
        open_photo(base64.b64encode(picture).decode())
    with pytest.raises(DataError, match="limit 80000000 pixels"):
        decode(bomb(12_000), 224)  # Pillow itself only warns of this one


def test_a_bomb_in_a_request_is_a_400_and_in_a_room_too(gateway: Gateway, servers: Servers) -> None:
    def encode(instance: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        try:
            decode(base64.b64decode(instance["image"]), 224)
        except DataError as error:
            return 400, {"error": str(error)}
        raise AssertionError("it was decoded")

    servers.encode = encode  # type: ignore[method-assign]
    for more in ({}, {"tastemaker": {"shop_room": True}}):
        reply = gateway.ask(pictures(data_url(bomb(50_000))), **more)
        assert "cannot be decoded" in refused(reply)


def test_too_many_pictures_messages_and_words(gateway: Gateway, servers: Servers) -> None:
    many = gateway.ask(pictures(*["data:image/png;base64,AAAA"] * 200))
    assert "200 pictures; at most 4" in refused(many)
    long = gateway.ask("x", earlier=ASKED * 5000)
    assert "5001 messages; at most 200" in refused(long)
    assert "at most 2000" in refused(gateway.ask("x" * 100_000))
    events = [{"item_id": "a", "action": "save"}] * 5000
    refused(gateway.http.post("/api/events", json={"user": "ada", "events": events}))
    board = {"user": "ada", "title": "t", "items": ["a"] * 5000}
    refused(gateway.http.post("/api/boards", json=board))
    assert "router" not in servers.asked


DEEP = [
    '{"messages":' + "[" * 100_000 + "]" * 100_000 + "}",
    '{"messages":' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
    "[" * 100_000,
    '{"messages":[{"role":"user","content":"x"}],"tools":' + "[" * 900 + "]" * 900 + "}",
    '{"n":1' + "0" * 5000 + "}",
]


@pytest.mark.parametrize("body", DEEP, ids=range(len(DEEP)))
@pytest.mark.parametrize("path", [CHAT, "/v1/responses", "/api/events", "/mcp"])
def test_json_without_a_bottom(gateway: Gateway, path: str, body: str) -> None:
    assert gateway.http.post(path, content=body, headers=JSON).status_code == 400


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_half_a_surrogate_pair_is_refused_by_its_field(gateway: Gateway, text: str) -> None:
    for body in (
        {"messages": [{"role": "user", "content": text}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": text}]}]},
        {"messages": ASKED, "model": text},
        {"messages": ASKED, "user": text},
    ):
        for key in ({}, {"Idempotency-Key": "k"}):
            said = json.dumps(body)
            refused(gateway.http.post(CHAT, content=said, headers={**JSON, **key}))
    said = json.dumps({"input": text})
    assert refused(gateway.http.post("/v1/responses", content=said, headers=JSON)) == (
        "input: holds half a surrogate pair"
    )


def test_nul_reaches_no_id_and_breaks_no_text(gateway: Gateway, servers: Servers) -> None:
    for field in ("conversation", "board", "complete_board"):
        said = refused(gateway.ask("x", tastemaker={field: "a\x00"}))
        assert "cannot be printed" in said
    refused(gateway.ask("x", user="ada\x00"))
    assert gateway.ask("pink\x00 vase").status_code == 200
    assert "\\u0000" not in json.dumps(servers.asked["router"])


@pytest.mark.parametrize(
    "name",
    [
        "..%2fgateway.py",
        "%2e%2e/gateway.py",
        "..%5c..%5cgateway.py",
        "%252e%252e%252fgateway.py",
        "..;/gateway.py",
        "index.html%00.js",
        "%2fetc%2fpasswd",
        "%c0%ae%c0%ae/gateway.py",
    ],
)
@pytest.mark.parametrize(
    "folder", ["/page/", "/items/", "/v1/conversations/", "/v1/responses/", "/api/boards/"]
)
def test_no_path_leads_out(gateway: Gateway, folder: str, name: str) -> None:
    reply = gateway.http.get(f"{folder}{name}?user=ada", follow_redirects=False)
    assert reply.status_code in (400, 404)
    assert "root:" not in reply.text
    assert "build_app" not in reply.text


def test_an_id_cannot_write_headers(gateway: Gateway) -> None:
    evil = "a%0d%0aSet-Cookie:%20evil=1%0d%0a%0d%0a<script>"
    for path in (
        f"/items/{evil}",
        f"/items/{evil}/image",
        f"/page/{evil}",
        f"/v1/conversations/{evil}",
        f"/v1/responses/{evil}",
        f"/api/boards/{evil}?user=ada",
        f"/api/users/{evil}",
    ):
        reply = gateway.http.get(path)
        assert reply.status_code in (400, 404), path
        assert "set-cookie" not in reply.headers
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["content-type"] == "application/json"


SITE = {"host": "evil.example", "origin": "http://evil.example"}


def test_another_sites_name_is_refused_everywhere_that_matters(gateway: Gateway) -> None:
    for method, path in [
        ("POST", CHAT),
        ("POST", "/v1/responses"),
        ("GET", "/v1/conversations/x"),
        ("GET", "/api/boards?user=ada"),
        ("GET", "/api/users/ada"),
        ("DELETE", "/api/users/ada"),
        ("POST", "/api/tools"),
        ("GET", "/api/ledger"),
        ("POST", "/mcp"),
    ]:
        body = {"messages": ASKED, "input": "x", "name": "x", "url": "http://x.example/"}
        reply = gateway.http.request(method, path, json=body, headers=SITE)
        assert reply.status_code == 403, (method, path, reply.text)


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"],
)
def test_what_another_sites_form_can_post_is_refused(gateway: Gateway, kind: str) -> None:
    """A browser asks no leave for these kinds, so none may be read as JSON."""
    bodies = {
        CHAT: {"messages": ASKED},
        "/v1/responses": {"input": "pink vase"},
        "/api/events": {"user": "ada", "events": [{"item_id": "a", "action": "save"}]},
        "/api/boards": {"user": "ada", "title": "Evil"},
        "/api/tools": {"name": "evil", "url": "http://evil.example/mcp"},
        "/mcp": {"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
    }
    for path, body in bodies.items():
        request = gateway.http.build_request("POST", path, content=json.dumps(body))
        request.headers["content-type"] = kind
        if not kind:
            del request.headers["content-type"]
        reply = gateway.http.send(request)
        assert reply.status_code in (400, 406, 415), (path, reply.text)
    assert gateway.http.get("/api/boards?user=ada").json() == {"boards": []}
    for header in ("access-control-allow-origin", "access-control-allow-methods"):
        asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
        assert header not in gateway.http.options(CHAT, headers=asked).headers


@pytest.fixture
def inside() -> Iterator[tuple[str, list[str]]]:
    """A service that only this machine reaches, and what it was asked."""
    app, hits = FastAPI(), list[str]()

    @app.api_route("/{path:path}", methods=["GET", "POST", "HEAD"])
    async def secret(path: str, request: Request) -> dict[str, str]:
        hits.append(path)
        return {"secret": "metadata"}

    with serving(app) as url:
        yield url, hits


def test_no_picture_is_fetched(gateway: Gateway, inside: tuple[str, list[str]]) -> None:
    url, hits = inside
    for address in (f"{url}/a.png", "file:///etc/passwd", "//127.0.0.1/a", "data:text/html,x"):
        assert "only data:image" in refused(gateway.ask(pictures(address)))
        part = {"type": "input_image", "image_url": address}
        body = {"input": [{"role": "user", "content": [part]}]}
        assert "only data:image" in refused(gateway.http.post("/v1/responses", json=body))
    for part in ({"type": "input_file", "file_url": url}, {"type": "input_audio"}):
        body = {"input": [{"role": "user", "content": [part]}]}
        assert "no content part of type" in refused(gateway.http.post("/v1/responses", json=body))
    assert hits == []


def test_neither_an_item_nor_an_upload_is_markup(gateway: Gateway, catalogue: Catalogue) -> None:
    item = gateway.http.get(f"/items/{catalogue.items[0].item_id}")
    assert item.headers["content-type"] == "application/json"
    assert item.headers["x-content-type-options"] == "nosniff"
    polyglot = data_url(b"GIF89a<script>alert(1)</script>")
    assert "not a picture" in refused(gateway.ask(pictures(polyglot)))


def test_an_answer_keeps_the_headers_that_it_has_and_gets_the_others() -> None:
    async def own(scope: Any, receive: Any, send: Any) -> None:
        headers = ((b"Referrer-Policy", b"origin"), (b"x-own", b"1"))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    for app, policy in ((own, "origin"), (bare, "no-referrer")):
        reply = TestClient(Guard(app, max_body_bytes=10)).get("/")
        assert reply.headers.get_list("referrer-policy") == [policy]
        assert reply.headers["x-content-type-options"] == "nosniff"
