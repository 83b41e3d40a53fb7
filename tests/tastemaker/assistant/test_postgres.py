"""The gateway on Postgres, as on a cluster: the same turns, from two gateways at once."""

import asyncio
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation_tables import turns_table
from tastemaker.assistant.gateway import build_app
from tastemaker.assistant.identity import IdentityConfig
from tastemaker.assistant.keys import KeyStore
from tastemaker.assistant.tools.registry import RegistryConfig
from tastemaker.core.home import Home
from tests.tastemaker.assistant.conftest import (
    CONFIG,
    URLS,
    Servers,
    search_then_answer,
    serving,
)
from tests.tastemaker.assistant.drill_site import Router, site_of, until
from tests.tastemaker.assistant.test_drills_clients import leave, question
from tests.tastemaker.assistant.tools.mcp_servers import mcp_server, tool
from tests.tastemaker.assistant.wires import Wired
from tests.tastemaker.conftest import Postgres

STALENESS = "tastemaker_feature_staleness_seconds"
CHAT = "/v1/chat/completions"
MANY = 20  # more than there are threads, the interpreter's own or the database's


@pytest.fixture
def two(
    tmp_path: Path,
    catalogue: Catalogue,
    servers: Servers,
    each_database: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[list[httpx.Client]]:
    """Two gateways with one empty database."""
    url = each_database.url.render_as_string(hide_password=False)
    monkeypatch.setenv("TASTEMAKER_DATABASE", url)
    with ExitStack() as opened:
        clients = []
        for name in ("a", "b"):
            app = build_app(Home(tmp_path / name), catalogue, URLS, CONFIG, http=Wired(servers))
            address = opened.enter_context(serving(app))
            clients.append(opened.enter_context(httpx.Client(base_url=address, timeout=30)))
        yield clients


@pytest.fixture
def one(
    tmp_path: Path,
    catalogue: Catalogue,
    servers: Servers,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[httpx.Client]:
    """A gateway with an empty Postgres."""
    monkeypatch.setenv("TASTEMAKER_DATABASE", postgres_url)
    app = build_app(Home(tmp_path), catalogue, URLS, CONFIG, http=Wired(servers))
    with serving(app) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def ask(client: httpx.Client, text: str, conversation: str | None = None, **headers: str) -> dict:
    body = {
        "messages": [{"role": "user", "content": text}],
        "user": "ada",
        "tastemaker": {"conversation": conversation},
    }
    reply = client.post(CHAT, json=body, headers=headers)
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["tastemaker"], id=reply.json()["id"])


def test_one_gateway_goes_on_where_the_other_was(two: list[httpx.Client]) -> None:
    a, b = two
    first = ask(a, "pink vase")
    conversation = first["conversation"]
    second = ask(b, "red lamp", conversation)
    third = ask(a, "blue rug", conversation)
    assert {first["conversation"], second["conversation"], third["conversation"]} == {conversation}
    told = b.get(f"/v1/conversations/{conversation}", params={"user": "ada"}).json()
    assert [turn["question"] for turn in told["turns"]] == ["pink vase", "red lamp", "blue rug"]
    once, again = (ask(client, "a tray", **{"Idempotency-Key": "k"}) for client in (a, b))
    assert once["id"] == again["id"]


def test_a_retry_that_the_other_gets_meanwhile_does_no_work_twice(two: list[httpx.Client]) -> None:
    with ThreadPoolExecutor(6) as pool:
        again = {"Idempotency-Key": "k"}
        turns = list(pool.map(lambda n: ask(two[n % 2], "pink vase", **again), range(6)))
    assert len({turn["id"] for turn in turns}) == 1
    (sums,) = two[0].get("/api/ledger", params={"by": "caller"}).json()["rows"]
    assert sums["turns"] == 1


def test_what_callers_spend_at_once_adds_up(two: list[httpx.Client]) -> None:
    with ThreadPoolExecutor(8) as pool:
        turns = list(pool.map(lambda n: ask(two[n % 2], f"pink vase {n}"), range(24)))
    (sums,) = two[0].get("/api/ledger", params={"by": "caller"}).json()["rows"]
    assert sums["turns"] == 24
    assert sums["cents"] == pytest.approx(sum(turn["cents"] for turn in turns), abs=1e-4)


def test_who_is_forgotten_by_one_is_unknown_to_the_other(two: list[httpx.Client]) -> None:
    a, b = two
    turn = ask(a, "pink vase")
    ask(b, "red lamp", turn["conversation"])
    assert a.delete("/api/users/ada").status_code == 200
    gone = b.get(f"/v1/conversations/{turn['conversation']}", params={"user": "ada"})
    assert gone.status_code == 404
    assert ask(b, "a tray", turn["conversation"])["conversation"] != turn["conversation"]


def test_a_database_that_goes_is_told_and_is_used_again_when_it_is_back(
    one: httpx.Client, postgres: Postgres
) -> None:
    conversation = ask(one, "pink vase")["conversation"]
    postgres.stop()
    try:
        body = {"messages": [{"role": "user", "content": "red lamp"}], "user": "ada"}
        body["tastemaker"] = {"conversation": conversation}
        for stream in (False, True):
            reply = one.post(CHAT, json={**body, "stream": stream})
            assert reply.status_code == 503
            assert "database does not answer" in reply.json()["error"]["message"]
        health = one.get("/healthz")
        assert health.status_code == 503
        assert "does not answer" in health.json()["services"]["database"]["reason"]
    finally:
        postgres.start()
    assert ask(one, "red lamp", conversation)["conversation"] == conversation
    told = one.get(f"/v1/conversations/{conversation}", params={"user": "ada"}).json()
    assert [turn["question"] for turn in told["turns"]] == ["pink vase", "red lamp"]


def test_a_database_that_goes_while_a_turn_is_under_way(
    one: httpx.Client, servers: Servers, postgres: Postgres
) -> None:
    plan = servers.script

    def going(messages: list[dict]) -> dict:
        if messages[-1]["role"] == "tool":
            postgres.stop()
        return plan(messages)

    servers.script = going
    body = {"messages": [{"role": "user", "content": "red lamp"}], "stream": True}
    try:
        reply = one.post(CHAT, json=body)
    finally:
        postgres.start()
    assert reply.status_code == 200  # its first step was sent
    assert "database does not answer" in reply.text.splitlines()[-2]
    servers.script = plan
    assert ask(one, "red lamp")["items"]


def test_a_database_that_hangs_holds_up_nothing_that_does_not_need_it(
    one: httpx.Client, postgres: Postgres
) -> None:
    with ThreadPoolExecutor(MANY) as pool:
        first = ask(one, "pink vase")
        conversation, picture = first["conversation"], first["items"][0]["image_url"]
        postgres.freeze()
        try:
            said = [{"role": "user", "content": "red lamp"}]
            body = {"messages": said, "user": "ada"}
            waiting = [pool.submit(one.post, CHAT, json=body) for _ in range(MANY)]
            with httpx.Client(base_url=one.base_url, timeout=10) as another:
                for _ in range(2):
                    for path in ("/", picture, "/metrics"):
                        reply = another.get(path)
                        assert reply.status_code == 200
                    assert f"{STALENESS} NaN" in reply.text
                    told = another.get("/healthz").json()["services"]["database"]
                    assert not told["ready"]
                    assert told["reason"].startswith("the database does not answer")
        finally:
            postgres.thaw()
        for reply in [turn.result(20) for turn in waiting]:  # some needed a new connection
            assert reply.status_code in (200, 503)
            assert reply.is_success or "database does not answer" in reply.text
        assert one.get("/healthz").json()["services"]["database"]["ready"]
        assert ask(one, "blue rug", conversation)["conversation"] == conversation
        assert f"{STALENESS} NaN" not in one.get("/metrics").text


@contextmanager
def in_the_event_loop(engine: Engine) -> Iterator[list[str]]:
    """Where a connection was taken in a thread that runs an event loop: all its requests wait."""
    found: list[str] = []

    def taken(*_: object) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return
        ours = [frame for frame in traceback.extract_stack() if "/tastemaker/" in frame.filename]
        found.append(" < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(ours)))

    event.listen(engine, "checkout", taken)
    yield found
    event.remove(engine, "checkout", taken)


def test_no_request_waits_for_the_database_in_the_event_loop(
    tmp_path: Path,
    catalogue: Catalogue,
    servers: Servers,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TASTEMAKER_DATABASE", postgres_url)
    config = CONFIG.model_copy(
        update={
            "identity": IdentityConfig(auth="keys"),
            "tools": RegistryConfig(allow_private_endpoints=True),
        }
    )
    app = build_app(Home(tmp_path), catalogue, URLS, config, http=Wired(servers))
    engine = app.state.services.engine
    key, _ = KeyStore(engine).create("web", roles=["operator", "service"], cents_per_day=1e6)
    bearer = {"Authorization": f"Bearer {key}"}
    item = catalogue.items[0].item_id
    with (
        in_the_event_loop(engine) as found,
        mcp_server([tool("forecast", "The weather.")]) as weather,
        serving(app) as address,
        httpx.Client(base_url=address, timeout=30, headers=bearer) as client,
    ):

        def send(method: str, path: str, **body: Any) -> dict[str, Any]:
            reply = client.request(method, path, json=body or None)
            assert reply.is_success, (path, reply.text)
            return dict(reply.json()) if reply.content[:1] == b"{" else {}

        send("POST", "/api/tools", name="weather", url=weather)
        first = ask(client, "pink vase", **{"Idempotency-Key": "k"})
        ask(client, "pink vase", **{"Idempotency-Key": "k"})
        conversation = first["conversation"]
        board = send("POST", "/api/boards", user="ada", title="Blue", items=[item])["board_id"]
        for about in ({"board": board}, {"complete_board": board}, {"similar_to": item}):
            ours = {"conversation": conversation, **about}
            said = [{"role": "user", "content": "red lamp"}]
            send("POST", "/v1/chat/completions", messages=said, user="ada", tastemaker=ours)
        events = [{"item_id": item, "action": "save"}]
        send("POST", "/api/events", user="ada", events=events, conversation=conversation)
        response = send("POST", "/v1/responses", input="a tray", user="ada")["id"]
        send("POST", "/v1/responses", input="more", user="ada", previous_response_id=response)
        for path in (
            f"/v1/responses/{response}?user=ada",
            f"/v1/conversations/{conversation}?user=ada",
            f"/api/boards/{board}?user=ada",
        ):
            send("GET", path)
            send("DELETE", path)
        for path in ("/api/users/ada", "/api/boards?user=ada", "/api/tools", "/api/ledger"):
            send("GET", path)
        for path in ("/metrics", "/healthz"):
            assert client.get(path).status_code in (200, 503)
        send("DELETE", "/api/tools/weather")
        send("DELETE", "/api/users/ada")
    assert not found, "\n".join(found)


def test_nor_does_a_turn_that_is_broken_off(
    tmp_path: Path, servers: Servers, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_DATABASE", postgres_url)
    router = Router(search_then_answer, delay_s=30)
    with site_of(tmp_path, servers, router) as site:
        with in_the_event_loop(site.services.engine) as found:
            for stream in (False, True):
                body, asked = question("red sofa", stream=stream), len(router.asked)
                leave(site, body, lambda n=asked: router.asked[n:], key=f"k-{stream}")
            until(lambda: site.count(turns_table) == 2)
            assert [told["status"] for told in site.records()] == ["cancelled"] * 2
        assert not found, "\n".join(found)
