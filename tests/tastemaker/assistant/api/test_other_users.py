"""With real keys and tokens: what one user has, no other user can read, change or delete."""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.gateway import build_app
from tastemaker.assistant.identity import IdentityConfig
from tastemaker.assistant.keys import PREFIX
from tastemaker.core.home import Home
from tests.tastemaker.assistant.conftest import CONFIG, URLS, Servers, call, serving
from tests.tastemaker.assistant.test_identity import (
    AUDIENCE,
    ISSUER,
    KEYS,
    PUBLIC_PEM,
    claims,
    forged,
    token,
)
from tests.tastemaker.assistant.test_jwks import jwk
from tests.tastemaker.assistant.wires import Wired

CHAT = "/v1/chat/completions"
SECRET = "ivory lamp for the bedroom of aunt Agatha"
HEADERS = {"Idempotency-Key": "ada-1"}
MCP = {"accept": "application/json, text/event-stream"}


@dataclass
class Site:
    """The real app with keys; `as_` sends with a key of a user or a role."""

    app: FastAPI
    http: TestClient

    def as_(self, user: str | None = None, role: str = "") -> TestClient:
        keys = self.app.state.services.identity.keys
        key, _ = keys.create(
            f"{user or role}-{len(keys.all())}", user_id=user, roles=[role] if role else []
        )
        return self.bearer(key)

    def bearer(self, key: str) -> TestClient:
        headers = {"authorization": f"Bearer {key}"}
        return TestClient(self.app, headers=headers, raise_server_exceptions=False)


def site_of(
    folder: Path, catalogue: Catalogue, servers: Servers, **identity: Any
) -> Iterator[Site]:
    config = CONFIG.model_copy(update={"identity": IdentityConfig(**identity)})
    app = build_app(Home(folder), catalogue, URLS, config, http=Wired(servers))
    with TestClient(app, raise_server_exceptions=False) as http:
        yield Site(app, http)


@pytest.fixture
def site(tmp_path: Path, catalogue: Catalogue, servers: Servers) -> Iterator[Site]:
    yield from site_of(tmp_path, catalogue, servers, auth="keys")


@dataclass
class Adas:
    """What ada has."""

    http: TestClient
    conversation: str
    response: str
    board: str
    answer: dict[str, Any]

    def state(self) -> list[Any]:
        """All of it, as she sees it."""
        return [
            self.http.get(f"/v1/conversations/{self.conversation}").json(),
            self.http.get(f"/v1/responses/{self.response}").json(),
            self.http.get("/api/boards").json(),
            self.http.get("/api/users/ada").json()["recent"],
        ]


@pytest.fixture
def ada(site: Site, catalogue: Catalogue) -> Adas:
    http, item_id = site.as_("ada"), catalogue.items[2].item_id
    asked = {"messages": [{"role": "user", "content": SECRET}]}
    answer = http.post(CHAT, json=asked, headers=HEADERS).json()
    ours = answer["tastemaker"]
    response = http.post("/v1/responses", json={"input": SECRET}).json()
    board = http.post("/api/boards", json={"title": SECRET, "items": [item_id]}).json()
    event = {"item_id": item_id, "action": "save"}
    body = {"conversation": ours["conversation"], "events": [event]}
    assert http.post("/api/events", json=body).json()["accepted"] == 1
    return Adas(http, ours["conversation"], response["id"], board["board_id"], answer)


def attacks(ada: Adas, item_id: str) -> list[tuple[str, str, Any, set[int]]]:
    """Method, path, body, and how each is refused."""
    ours = [{"role": "user", "content": "hello"}]
    event = {"item_id": item_id, "action": "save"}
    found: list[tuple[str, str, Any, set[int]]] = []
    for method in ("GET", "DELETE"):
        for path in (
            f"/v1/conversations/{ada.conversation}",
            f"/v1/responses/{ada.response}",
            f"/v1/responses/resp_{ada.answer['id'].removeprefix('chatcmpl-')}",
            f"/api/boards/{ada.board}",
        ):
            found.append((method, path, None, {404}))
            found.append((method, f"{path}?user=ada", None, {403}))
            found.append((method, f"{path}?user=bob&user=ada", None, {403}))
        found.append((method, "/api/users/ada", None, {403}))
    change = {"title": "Stolen", "items": []}
    return [
        *found,
        ("PUT", f"/api/boards/{ada.board}", change, {404}),
        ("PUT", f"/api/boards/{ada.board}?user=ada", change, {403}),
        ("GET", "/api/boards?user=ada", None, {403}),
        ("GET", "/api/users", None, {403}),
        ("GET", "/api/ledger?by=user_id", None, {403}),
        ("POST", "/api/tools", {"name": "x", "url": "http://x.example/"}, {403}),
        ("POST", "/api/boards", {"user": "ada", "title": "x"}, {403}),
        ("POST", "/api/events", {"user": "ada", "events": [event]}, {403}),
        ("POST", CHAT, {"messages": ours, "user": "ada"}, {403}),
        ("POST", CHAT, {"messages": ours, "tastemaker": {"board": ada.board}}, {404}),
        ("POST", CHAT, {"messages": ours, "tastemaker": {"complete_board": ada.board}}, {404}),
        ("POST", "/v1/responses", {"input": "hello", "user": "ada"}, {403}),
        ("POST", "/v1/responses", {"input": "x", "previous_response_id": ada.response}, {404}),
    ]


@pytest.mark.parametrize("who", ["bob", "nobody", "forged"])
def test_nothing_of_another_users_is_read_changed_or_deleted(
    site: Site, ada: Adas, catalogue: Catalogue, who: str
) -> None:
    clients = {
        "bob": lambda: site.as_("bob"),
        "nobody": lambda: TestClient(site.app, raise_server_exceptions=False),
        "forged": lambda: site.bearer(PREFIX + "A" * 40),
    }
    http, before = clients[who](), ada.state()
    for method, path, body, statuses in attacks(ada, catalogue.items[4].item_id):
        reply = http.request(method, path, json=body)
        expected = statuses if who == "bob" else {401}
        assert reply.status_code in expected, (method, path, reply.status_code, reply.text)
        assert SECRET not in reply.text
        assert "Agatha" not in reply.text
    assert ada.state() == before


def test_a_stolen_conversation_id_opens_a_new_conversation(
    site: Site, ada: Adas, servers: Servers
) -> None:
    bob, before = site.as_("bob"), ada.state()
    servers.asked.clear()
    servers.script = [call("similar_items", item="@1#1"), call("answer", text="Nothing.")]
    asked = [{"role": "user", "content": "more like the first"}]
    extension = {"conversation": ada.conversation}
    ours = bob.post(CHAT, json={"messages": asked, "tastemaker": extension}).json()["tastemaker"]
    assert ours["conversation"] != ada.conversation
    assert "lists of this conversation are: none" in ours["steps"][0]["error"]
    assert "Agatha" not in json.dumps(servers.asked["router"])
    for field in ({"conversation": ada.conversation}, {"conversation": {"id": ada.conversation}}):
        servers.script = [call("answer", text="Nothing.")] * 2
        reply = bob.post("/v1/responses", json={"input": "go on", **field}).json()
        assert reply["conversation"]["id"] != ada.conversation
    assert ada.state() == before


def test_an_event_in_anothers_conversation_is_ones_own(
    site: Site, ada: Adas, catalogue: Catalogue
) -> None:
    event = {"item_id": catalogue.items[4].item_id, "action": "hide"}
    before = ada.state()
    body = {"conversation": ada.conversation, "events": [event]}
    assert site.as_("bob").post("/api/events", json=body).status_code == 200
    assert ada.state() == before
    guest = site.as_(role="service").post("/api/events", json=body)
    assert guest.status_code == 404


def test_another_users_key_of_a_request_replays_nothing(site: Site, ada: Adas) -> None:
    asked = {"messages": [{"role": "user", "content": SECRET}]}
    again = ada.http.post(CHAT, json=asked, headers=HEADERS).json()
    assert again == ada.answer
    stolen = site.as_("bob").post(CHAT, json=asked, headers=HEADERS).json()
    assert stolen["id"] != ada.answer["id"]
    assert stolen["tastemaker"]["conversation"] != ada.conversation
    service = site.as_(role="service")
    first = service.post(CHAT, json={**asked, "user": "ada"}, headers=HEADERS).json()
    other = service.post(CHAT, json={**asked, "user": "bob"}, headers=HEADERS)
    assert first["id"] != ada.answer["id"]
    assert other.status_code == 409


def test_tools_for_other_agents_act_for_the_caller_alone(site: Site, ada: Adas) -> None:
    def use(http: TestClient, **arguments: Any) -> dict[str, Any]:
        params = {"name": "board_get", "arguments": arguments}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        result: dict[str, Any] = http.post("/mcp", json=body, headers=MCP).json()["result"]
        return result

    assert not use(ada.http, title="ivory lamp").get("isError")
    bob = site.as_("bob")
    for result in (use(bob, title="ivory lamp"), use(bob, title="ivory lamp", user="ada")):
        assert result["isError"]
        assert "Agatha" not in json.dumps(result)


def test_a_deleted_users_replay_is_gone(site: Site, ada: Adas) -> None:
    assert ada.http.delete("/api/users/ada").status_code == 200
    asked = {"messages": [{"role": "user", "content": SECRET}]}
    again = ada.http.post(CHAT, json=asked, headers=HEADERS).json()
    assert again["id"] != ada.answer["id"]
    assert ada.http.get(f"/v1/conversations/{ada.conversation}").status_code == 404


@pytest.mark.parametrize("auth", ["keys", "open"])
def test_a_tools_endpoint_inside_is_refused_unless_the_assistant_is_open(
    tmp_path: Path, catalogue: Catalogue, servers: Servers, auth: str
) -> None:
    inside, hits = FastAPI(), list[str]()

    @inside.api_route("/{path:path}", methods=["GET", "POST"])
    async def secret(path: str) -> dict[str, str]:
        hits.append(path)
        return {"secret": "x"}

    with serving(inside) as url:
        port = url.rpartition(":")[2]
        private = [
            f"http://127.0.0.1:{port}/mcp",
            f"http://localhost:{port}/mcp",
            f"http://[::1]:{port}/mcp",
            f"http://[::ffff:127.0.0.1]:{port}/mcp",
            f"http://2130706433:{port}/mcp",
            f"http://0x7f.1:{port}/mcp",
            "http://10.0.0.1/mcp",
        ]
        never = [
            "http://169.254.169.254/latest/meta-data",
            "http://[fe80::1]/mcp",
            "http://0.0.0.0/mcp",
            "file:///etc/passwd",
            "gopher://127.0.0.1/",
            f"http://user:pass@127.0.0.1:{port}/mcp",
        ]
        for site in site_of(tmp_path, catalogue, servers, auth=auth):
            http = site.as_(role="operator") if auth == "keys" else site.http
            for address in (*never, *(private if auth == "keys" else ())):
                reply = http.post("/api/tools", json={"name": "x", "url": address})
                assert reply.status_code == 400, (address, reply.text)
                assert "secret" not in reply.text
    assert hits == []


ROUTES = [("GET", "/api/me"), ("POST", CHAT), ("GET", "/api/boards"), ("POST", "/mcp")]


def confused() -> str:
    """Signed by HMAC with the public key as its secret."""
    head = {"alg": "HS256", "typ": "JWT", "kid": "rsa"}
    parts = [json.dumps(part).encode() for part in (head, claims(sub="ada"))]
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = hmac.new(PUBLIC_PEM, signed, hashlib.sha256).digest()
    return f"{signed.decode()}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def test_no_forged_token_passes_any_route(
    tmp_path: Path, catalogue: Catalogue, servers: Servers
) -> None:
    rows = [jwk(key, kid=kid) for kid, (_, key) in KEYS.items()]
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": rows}))
    head, body, signature = token().split(".")
    other = token(sub="eve").split(".")[1]
    bad = {
        "expired": token(exp=1_000_000, nbf=1, iat=1),
        "not yet": token(nbf=4_000_000_000),
        "another issuer": token(iss="https://evil.example"),
        "another audience": token(aud="bank"),
        "none": forged({"alg": "none", "kid": "rsa"}),
        "confused": confused(),
        "swapped claims": f"{head}.{other}.{signature}",
        "unsigned": f"{head}.{body}.",
        "its own key": forged({"alg": "RS256", "kid": "rsa", "jwk": rows[0]}, b"x" * 256),
        "no subject": token(sub=None),
        "noise": "a.b.c",
    }
    oidc = {"auth": "oidc", "issuer": ISSUER, "audience": AUDIENCE}
    file = str(tmp_path / "jwks.json")
    for site in site_of(tmp_path, catalogue, servers, jwks_file=file, **oidc):
        asked = {"messages": [{"role": "user", "content": "pink vase"}]}
        good = {"authorization": f"Bearer {token()}"}
        assert site.http.get("/api/me", headers=good).json()["user"] == "ada"
        assert site.http.post(CHAT, json=asked, headers=good).status_code == 200
        for name, text in bad.items():
            for method, path in ROUTES:
                headers = {"authorization": f"Bearer {text}"}
                body_ = asked if method == "POST" else None
                reply = site.http.request(method, path, json=body_, headers=headers)
                assert reply.status_code == 401, (name, path, reply.text)
                assert reply.headers["www-authenticate"].startswith("Bearer ")
                assert text not in reply.text
        eve = {"authorization": f"Bearer {token(sub='eve')}"}
        assert site.http.get("/api/users/ada", headers=eve).status_code == 403


def test_a_guests_conversation_is_not_another_keys(site: Site) -> None:
    """Two services know the same id; only the one that began the conversation has it."""
    ours, theirs, operator = (
        site.as_(role="service"),
        site.as_(role="service"),
        site.as_(role="operator"),
    )
    answer = ours.post(CHAT, json={"messages": [{"role": "user", "content": SECRET}]}).json()
    conversation = answer["tastemaker"]["conversation"]
    response = f"resp_{answer['id'].removeprefix('chatcmpl-')}"
    paths = (f"/v1/conversations/{conversation}", f"/v1/responses/{response}")
    more = {
        "messages": [{"role": "user", "content": "and cheaper"}],
        "tastemaker": {"conversation": conversation},
    }
    for other in (theirs, operator):
        for path in paths:
            assert other.get(path).status_code == 404
            assert other.delete(path).status_code == 404
        told = other.post(CHAT, json=more).json()["tastemaker"]
        assert told["conversation"] != conversation
        assert any("forgotten" in notice for notice in told["notices"])
    assert SECRET in ours.get(paths[0]).text
    assert ours.post(CHAT, json=more).json()["tastemaker"]["conversation"] == conversation
    assert ours.delete(paths[0]).status_code == 200
