"""Drills: a part is down, slow or talks nonsense. The user gets something and hears of it.

After each, the very next turn is whole again, in the same conversation and without a restart.
"""

import time
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from tastemaker.assistant.conversation_tables import turns_table
from tests.tastemaker.assistant.conftest import Servers, call, search_then_answer
from tests.tastemaker.assistant.drill_site import Router, Site, site_of

CANNOT_PLAN = "The assistant cannot plan right now: these items match your words."


def whole(site: Site, conversation: str, text: str = "red lamp", **fields: Any) -> None:
    """The next turn of a conversation has nothing to excuse."""
    told = site.go_on(conversation, text, **fields)
    assert told["notices"] == []
    assert told["items"]
    assert [step["tool"] for step in told["steps"]] == ["search_items", "answer"]
    assert told["conversation"] == conversation


@pytest.mark.parametrize("service", ["encoder", "retrieval", "recommender", "router"])
def test_a_server_that_refuses_connections(tmp_path: Path, servers: Servers, service: str) -> None:
    with site_of(tmp_path, servers) as site:
        saved = [item.item_id for item in servers.catalogue.items[3:5]]
        site.save("ada", *saved)
        begun = site.ask("pink vase", user="ada")["conversation"]
        servers.down = {service}
        told = site.go_on(begun, "blue vase", user="ada")
        assert told["items"]
        assert any("right now" in notice for notice in told["notices"])
        assert site.save("ada", servers.catalogue.items[9].item_id)["accepted"] == 1
        servers.down = set()
        whole(site, begun, user="ada")
        assert servers.asked["recommender"][-1]["events"][-1]["action"] == "save"
        assert len(servers.asked["recommender"][-1]["events"]) == 3
        assert len(site.turns(begun, "ada")) == 3
        assert site.events(user_id="ada", action="save") == 3


@pytest.mark.parametrize("status", [404, 500, 200])
@pytest.mark.parametrize("service", ["encoder", "retrieval", "recommender"])
def test_a_server_without_its_index_or_model(
    tmp_path: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch, service: str, status: int
) -> None:
    method = {"encoder": "encode", "retrieval": "retrieve", "recommender": "recommend"}[service]
    body = {"error": "no index is loaded"} if status != 200 else {"predictions": [None]}
    with site_of(tmp_path, servers) as site:
        site.save("ada", servers.catalogue.items[3].item_id)
        with monkeypatch.context() as missing:
            missing.setattr(servers, method, lambda _: (status, body))
            told = site.ask("pink vase", user="ada")
            assert told["items"]
            assert any("not available right now" in notice for notice in told["notices"])
            assert "no index" not in " ".join(told["notices"]), "a server's words are not ours"
        whole(site, told["conversation"], user="ada")
        assert site.count(turns_table) == 2


def test_a_router_that_is_too_slow_is_not_waited_for_longer_than_the_turn(
    tmp_path: Path, servers: Servers
) -> None:
    router = Router(search_then_answer, delay_s=30)
    with site_of(tmp_path, servers, router, budget_s=0.6) as site:
        began = time.monotonic()
        told = site.ask("pink vase")
        assert time.monotonic() - began < 4
        assert told["items"][0]["category"] == "vase"
        assert told["notices"] == [CANNOT_PLAN]
        router.delay_s = 0
        whole(site, told["conversation"])
        assert router.left == 1, "the request was given up, not left running"
        spent = site.services.ledger.of_turn(site.records()[0]["id"])
        assert [row["outcome"] for row in spent if row["kind"] == "router"] == ["timeout"]


def test_a_router_that_is_slow_is_overtaken_by_the_second(tmp_path: Path, servers: Servers) -> None:
    slow, quick = Router(search_then_answer, delay_s=30), Router(search_then_answer)
    hedging = {"slow_after_ms": 100.0}
    with site_of(tmp_path, servers, slow, quick, providers=hedging) as site:
        began = time.monotonic()
        told = site.ask("pink vase")
        assert time.monotonic() - began < 4
        assert told["notices"] == []
        assert {step["backend"] for step in told["steps"]} == {"r1"}
        spent = site.services.ledger.of_turn(site.records()[0]["id"])
        outcomes = {(row["member"], row["outcome"]) for row in spent if row["kind"] == "router"}
        assert outcomes == {("r0", "overtaken"), ("r1", "ok")}
        slow.delay_s = 0
        whole(site, told["conversation"])


async def limited(_: Request) -> Response:
    return JSONResponse({"error": "slow down"}, 429, {"Retry-After": "1"})


async def failed(_: Request) -> Response:
    return PlainTextResponse("out of memory", 500)


async def no_json(_: Request) -> Response:
    return PlainTextResponse("<html>Welcome!")


async def no_choice(_: Request) -> Response:
    return JSONResponse({"choices": []})


async def unknown_tool(_: Request) -> Response:
    return JSONResponse({"choices": [{"message": call("rm_rf", path="/")}]})


FAULTS = [limited, failed, no_json, no_choice, unknown_tool]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_provider_that_fails_leaves_what_the_words_find(
    tmp_path: Path, servers: Servers, fault: Any
) -> None:
    router = Router(search_then_answer)
    with site_of(tmp_path, servers, router) as site:
        begun = site.ask("pink vase")["conversation"]
        router.says = fault
        for number in range(4):  # more often than its circuit breaker takes
            told = site.go_on(begun, f"red sofa {number}")
            assert told["items"][0]["category"] == "sofa"
            assert told["notices"] == [CANNOT_PLAN]
        if fault is limited:
            assert len(router.asked) == 3, "who asks to be left alone is left alone"
            time.sleep(1.1)
        router.says = None
        whole(site, begun)
        assert len(site.turns(begun)) == 6


@pytest.mark.parametrize("fault", FAULTS)
def test_a_provider_that_fails_is_followed_by_the_next(
    tmp_path: Path, servers: Servers, fault: Any
) -> None:
    first, second = Router(search_then_answer, says=fault), Router(search_then_answer)
    with site_of(tmp_path, servers, first, second) as site:
        told = site.ask("pink vase")
        assert told["notices"] == []
        assert {step["backend"] for step in told["steps"]} == {"r1"}
        whole(site, told["conversation"])


def test_a_tool_that_is_down_is_told_to_the_router_which_does_without(
    tmp_path: Path, servers: Servers
) -> None:
    def plan(messages: list[Any]) -> Any:
        if messages[-1]["role"] == "tool":
            return call("answer", text="The search is resting.")
        return call("search_items", query="vase")

    with site_of(tmp_path, servers, Router(plan)) as site:
        servers.down = {"retrieval"}
        told = site.ask("pink vase")
        assert told["text"] == "The search is resting."
        assert told["notices"] == ["search_items is not available right now."]
        assert told["items"], "what the words find without it is shown besides"
