"""Drills: a client that leaves, a user who is forgotten meanwhile, what a trace must not hold."""

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import MetaData, inspect, select

from tastemaker.assistant.conversation_tables import conversations_table, turns_table
from tastemaker.assistant.limits import spend_table
from tests.tastemaker.assistant.conftest import Servers, call, search_then_answer
from tests.tastemaker.assistant.drill_site import Router, Site, site_of, until


def leave(site: Site, body: dict[str, Any], when: Callable[[], Any], key: str = "k-1") -> None:
    """Send a question over a socket of one's own, and close it as soon as `when` is true."""
    content = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Content-Type: application/json\r\nIdempotency-Key: {key}\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", urlsplit(site.url).port or 0)) as client:
        client.sendall(head.encode() + content)
        until(when)


def question(text: str, conversation: str | None = None, **fields: Any) -> dict[str, Any]:
    said = [{"role": "user", "content": text}]
    return {"messages": said, "tastemaker": {"conversation": conversation}, **fields}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("steps", [0, 1])
def test_a_client_that_leaves_during_a_slow_step(
    tmp_path: Path, servers: Servers, stream: bool, steps: int
) -> None:
    router = Router(search_then_answer)
    with site_of(tmp_path, servers, router) as site:
        begun = site.ask("pink vase")["conversation"]
        asked = len(router.asked)

        def slow_from_here(messages: list[Any]) -> Any:
            router.delay_s = 30
            return search_then_answer(messages)

        router.script = slow_from_here if steps else search_then_answer
        router.delay_s = 0 if steps else 30
        body = question("red sofa", begun, stream=stream)
        leave(site, body, lambda: len(router.asked) == asked + steps + 1)
        until(lambda: router.left == 1)
        until(lambda: site.count(turns_table) == 2)
        first, second = site.turns(begun)
        assert (first["status"], second["status"]) == ("done", "cancelled")
        assert [step["tool"] for step in second["steps"]] == ["search_items"][:steps]

        lines = [row for row in site.services.ledger.of_turn(second["id"])]
        attempts = [(row["outcome"]) for row in lines if row["kind"] == "router"]
        assert attempts == ["ok"] * steps + ["left"]
        assert sum(row["prompt_tokens"] for row in lines) > 100, "what was sent is accounted for"
        assert second["cents"] == pytest.approx(sum(row["cents"] for row in lines), abs=1e-6)

        router.delay_s, router.script = 0, search_then_answer
        again = retried(site, body)
        assert again["notices"] == []
        assert again["items"][0]["category"] == "sofa"
        assert again["items"][0]["ref"] == "@2#1", "the broken-off list took no handle"
        assert retried(site, body)["items"] == again["items"]
        assert [turn["status"] for turn in site.turns(begun)] == ["done", "cancelled", "done"]
        cents = sum(turn["cents"] for turn in site.turns(begun))
        until(lambda: _spent(site) == pytest.approx(cents, abs=1e-6))


def retried(site: Site, body: dict[str, Any]) -> dict[str, Any]:
    """The same request with the same key: the `tastemaker` part of its answer."""
    headers = {"Idempotency-Key": "k-1"}
    reply = site.http.post("/v1/chat/completions", json=body, headers=headers)
    assert reply.status_code == 200
    last = reply.text.strip().split("\n\n")[-2] if body["stream"] else reply.text
    return dict(json.loads(last.removeprefix("data: "))["tastemaker"])


def _spent(site: Site) -> float:
    with site.services.engine.connect() as connection:
        return sum(connection.execute(select(spend_table.c.cents)).scalars())


def test_a_client_that_leaves_during_a_slow_tool(tmp_path: Path, servers: Servers) -> None:
    with site_of(tmp_path, servers) as site:
        answering = servers.retrieve
        asked = threading.Event()

        def slow(instance: dict[str, Any]) -> Any:
            asked.set()
            time.sleep(0.5)
            return answering(instance)

        servers.retrieve = slow  # type: ignore[method-assign]
        leave(site, question("red sofa"), asked.is_set)
        (told,) = until(site.records)
        assert told["status"] == "cancelled"
        servers.retrieve = answering  # type: ignore[method-assign]
        site.go_on(told["conversation"], "red sofa")
        assert [turn["status"] for turn in site.turns(told["conversation"])] == [
            "cancelled",
            "done",
        ]


def holding(site: Site, text: str) -> set[str]:
    """Tables of the database with a row that holds a text."""
    engine, found = site.services.engine, set()
    tables = MetaData()
    tables.reflect(engine, only=inspect(engine).get_table_names())
    with engine.connect() as connection:
        for table in tables.sorted_tables:
            rows = connection.execute(select(table)).all()
            if any(text in str(value) for row in rows for value in row):
                found.add(table.name)
    return found


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("leaves", [False, True])
def test_a_turn_under_way_while_its_user_is_forgotten_leaves_nothing(
    tmp_path: Path, servers: Servers, known: bool, leaves: bool
) -> None:
    router = Router(search_then_answer)
    with site_of(tmp_path, servers, router) as site:
        user, conversation = "user-4711", None
        if known:
            site.save(user, servers.catalogue.items[3].item_id)
            conversation = site.ask("pink vase", user=user)["conversation"]
        asked = len(router.asked)
        router.delay_s = 1.0
        body = question("red sofa", conversation, user=user)
        reply: list[Any] = []
        asking = threading.Thread(
            target=lambda: reply.append(site.http.post("/v1/chat/completions", json=body))
        )
        if leaves:
            asking = threading.Thread(
                target=leave, args=(site, body, lambda: site.events(user_id=user) == 0 and gone)
            )
        gone: list[bool] = []
        asking.start()
        until(lambda: len(router.asked) > asked)
        deleted = site.http.delete(f"/api/users/{user}").json()["deleted"]
        assert deleted["turns"] == int(known)
        gone.append(True)
        asking.join()
        if leaves:
            until(lambda: router.left == 1)
            time.sleep(0.3)
        else:
            assert reply[0].status_code == 200
            assert reply[0].json()["tastemaker"]["items"]
        assert holding(site, user) == {"forgotten_users"}
        assert site.count(turns_table) == site.count(conversations_table) == 0
        router.delay_s = 0
        told = site.ask("red sofa", user=user)
        assert holding(site, user) > {"forgotten_users", "turns", "conversations"}
        assert len(site.turns(told["conversation"], user)) == 1, "who comes back starts afresh"


def test_a_board_saved_by_such_a_turn_goes_too(tmp_path: Path, servers: Servers) -> None:
    def plan(messages: list[Any]) -> Any:
        if messages[-1]["role"] == "user":
            return call("search_items", query="red sofa")
        if "@1" in str(messages[-1]):
            return call("board_save", title="My Sofas", items="@1")
        router.delay_s = 0
        return call("answer", text="Saved.")

    router = Router(plan)
    with site_of(tmp_path, servers, router) as site:
        user = "user-4711"
        site.save(user, servers.catalogue.items[3].item_id)
        save = site.services.boards.create

        def late(*args: Any) -> Any:
            site.services.boards.create = save  # type: ignore[method-assign]
            assert site.http.delete(f"/api/users/{user}").status_code == 200
            return save(*args)

        site.services.boards.create = late  # type: ignore[method-assign]
        told = site.ask("save red sofas", user=user)
        assert told["board"] == "My Sofas"
        assert holding(site, user) == {"forgotten_users"}


def test_a_conversation_that_is_deleted_during_its_turn_stays_deleted(
    tmp_path: Path, servers: Servers
) -> None:
    router = Router(search_then_answer)
    with site_of(tmp_path, servers, router) as site:
        begun = site.ask("pink vase")["conversation"]
        asked, router.delay_s = len(router.asked), 0.5
        asking = threading.Thread(target=site.go_on, args=(begun, "red sofa"))
        asking.start()
        until(lambda: len(router.asked) > asked)
        assert site.http.delete(f"/v1/conversations/{begun}").status_code == 200
        asking.join()
        assert site.count(turns_table) == site.count(conversations_table) == 0


def test_a_trace_holds_no_user_no_question_and_no_item(tmp_path: Path, servers: Servers) -> None:
    secret = "xylophone4711"

    def plan(messages: list[Any]) -> Any:
        if messages[-1]["role"] == "user":
            return call(secret, query=secret)  # a router that repeats what it read
        if secret in str(messages[-1]["content"]):
            return call("search_items", query=f"red sofa {secret}")
        return call("answer", text=f"{secret} it is", items="@1")

    with site_of(tmp_path, servers) as site:
        servers.script = plan
        item = servers.catalogue.items[3]
        site.save(secret, item.item_id)
        told = site.ask(f"red sofa {secret}", user=secret)
        assert [step["tool"] for step in told["steps"]] == [secret, "search_items", "answer"]
        servers.down = {"router"}
        site.ask(f"vase {secret}", user=secret)
        servers.down = {"retrieval", "recommender", "encoder"}
        site.ask(f"vase {secret}", user=secret)
        unknown = question(secret, user=secret)
        unknown["tastemaker"] = {"similar_to": secret}
        assert site.http.post("/v1/chat/completions", json=unknown).status_code == 400
        shown = [*told["items"], {"item_id": item.item_id, "title": item.title}]
    (file,) = (tmp_path / "run" / "traces").iterdir()
    text = file.read_text()
    spans = [json.loads(line) for line in text.splitlines()]
    assert [span["name"] for span in spans].count("turn") == 4
    assert {s["attributes"].get("tool.name") for s in spans} == {None, "search_items", "unknown"}
    assert secret not in text
    assert not [item for item in shown if item["item_id"] in text or item["title"] in text]


def test_who_knows_an_id_does_not_hold_up_its_owner(tmp_path: Path, servers: Servers) -> None:
    """Bob's turn under ada's conversation id is under way; hers does not wait for it."""
    router = Router(search_then_answer)
    with site_of(tmp_path, servers, router) as site:
        begun = site.ask("pink vase", user="ada")["conversation"]
        asked = len(router.asked)
        router.delay_s = 30

        def hers_is_answered() -> bool:
            if len(router.asked) == asked:
                return False
            router.delay_s = 0  # of hers; his waits on
            told = site.go_on(begun, "red sofa", user="ada")
            assert told["conversation"] == begun
            assert router.left == 0
            return True

        leave(site, question("red sofa", begun, user="bob"), hers_is_answered)
        until(lambda: router.left == 1)
