"""The gateway on Postgres, as on a cluster: the same turns, from two gateways at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.gateway import build_app
from tastemaker.core.home import Home
from tests.tastemaker.assistant.conftest import CONFIG, URLS, Servers, serving
from tests.tastemaker.assistant.wires import Wired
from tests.tastemaker.conftest import Postgres


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


def ask(client: httpx.Client, text: str, conversation: str | None = None, **headers: str) -> dict:
    body = {
        "messages": [{"role": "user", "content": text}],
        "user": "ada",
        "tastemaker": {"conversation": conversation},
    }
    reply = client.post("/v1/chat/completions", json=body, headers=headers)
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
    tmp_path: Path,
    catalogue: Catalogue,
    servers: Servers,
    postgres: Postgres,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TASTEMAKER_DATABASE", postgres_url)
    app = build_app(Home(tmp_path), catalogue, URLS, CONFIG, http=Wired(servers))
    with serving(app) as address, httpx.Client(base_url=address, timeout=30) as client:
        conversation = ask(client, "pink vase")["conversation"]
        postgres.stop()
        try:
            body = {"messages": [{"role": "user", "content": "red lamp"}], "user": "ada"}
            body["tastemaker"] = {"conversation": conversation}
            for stream in (False, True):
                reply = client.post("/v1/chat/completions", json={**body, "stream": stream})
                assert reply.status_code == 503
                assert "database does not answer" in reply.json()["error"]["message"]
            health = client.get("/healthz")
            assert health.status_code == 503
            assert "does not answer" in health.json()["services"]["database"]["reason"]
        finally:
            postgres.start()
        assert ask(client, "red lamp", conversation)["conversation"] == conversation
        told = client.get(f"/v1/conversations/{conversation}", params={"user": "ada"}).json()
        assert [turn["question"] for turn in told["turns"]] == ["pink vase", "red lamp"]


def test_a_database_that_goes_while_a_turn_is_under_way(
    tmp_path: Path,
    catalogue: Catalogue,
    servers: Servers,
    postgres: Postgres,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TASTEMAKER_DATABASE", postgres_url)
    plan = servers.script

    def going(messages: list[dict]) -> dict:
        if messages[-1]["role"] == "tool":
            postgres.stop()
        return plan(messages)

    app = build_app(Home(tmp_path), catalogue, URLS, CONFIG, http=Wired(servers))
    with serving(app) as address, httpx.Client(base_url=address, timeout=30) as client:
        servers.script = going
        body = {"messages": [{"role": "user", "content": "red lamp"}], "stream": True}
        try:
            reply = client.post("/v1/chat/completions", json=body)
        finally:
            postgres.start()
        assert reply.status_code == 200  # its first step was sent
        assert "database does not answer" in reply.text.splitlines()[-2]
        servers.script = plan
        assert ask(client, "red lamp")["items"]
