import asyncio
import json
import time

import httpx
from prometheus_client import CollectorRegistry, generate_latest

from tastemaker.assistant.called import Called, bundles, note, noting
from tastemaker.assistant.metrics import AnsweredBy
from tastemaker.assistant.reply import Reply
from tests.tastemaker.assistant.conftest import Gateway, Servers

ONE, TWO = "1" * 16, "2" * 16


class Named(httpx.AsyncBaseTransport):
    """The servers behind a proxy that splits the router's requests between two bundles."""

    def __init__(self, servers: Servers) -> None:
        self.servers, self.num_routed = servers, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self.servers.handle_async_request(request)
        bundle = ONE
        if request.url.host == "router":
            bundle = (ONE, TWO)[self.num_routed % 2]
            self.num_routed += 1
        response.headers["X-Tastemaker-Bundle"] = bundle
        return response


def test_what_is_noted_belongs_to_the_block_in_whatever_task() -> None:
    async def tool(bundle: str, whole: list[Called]) -> list[Called]:
        with noting(whole) as own:
            await asyncio.gather(ask(bundle), ask(bundle))
        return own

    async def ask(bundle: str) -> None:
        await asyncio.sleep(0)
        note("router", time.monotonic(), 200, {"x-tastemaker-bundle": bundle})

    async def both() -> None:
        whole: list[Called] = []
        first, second = await asyncio.gather(tool(ONE, whole), tool(TWO, whole))
        assert bundles(first) == {"router": (ONE,)}
        assert bundles(second) == {"router": (TWO,)}
        assert len(whole) == 4

    asyncio.run(both())


def test_a_header_that_is_no_digest_is_no_bundle_and_a_failed_one_is_told() -> None:
    with noting([]) as noted:
        note("router", 0.0, 200, {"x-tastemaker-bundle": "<script>"})
        note("router", 0.0, 500, {"x-tastemaker-bundle": ONE})
        note("router", 0.0)
        failed = {"x-tastemaker-bundle": ONE, "x-tastemaker-failed-bundle": TWO}
        note("router", 0.0, 200, failed)
        note("router", 0.0, 404, {"x-tastemaker-bundle": ONE})
    told = [(call.bundle, call.ok) for call in noted]
    assert told == [("", True), (ONE, False), ("", False), (TWO, False), (ONE, True), (ONE, True)]
    note("router", 0.0, 200, {})  # nobody wants to know: no error
    assert len(noted) == 6


def test_a_turn_says_who_answered_and_from_what(gateway: Gateway, servers: Servers) -> None:
    services = gateway.app.state.services
    services.http.transport = Named(servers)
    reply = gateway.ask("pink vase").json()["tastemaker"]
    assert reply["bundles"] == {"router": [ONE, TWO], "encoder": [ONE], "retrieval": [ONE]}
    search, answer = reply["steps"]
    assert search["bundles"] == {"router": [ONE], "encoder": [ONE], "retrieval": [ONE]}
    assert answer["bundles"] == {"router": [TWO]}
    with services.engine.connect() as connection:
        (text,) = connection.exec_driver_sql("SELECT record FROM turns").scalars()
    record = json.loads(text)
    assert [call["model"] for call in record["calls"]][::3] == ["router", "router"]
    assert {call["ok"] for call in record["calls"]} == {True}
    catalogue = services.catalogue
    assert record["versions"] == {
        "dataset": catalogue.dataset.digest,
        "space": catalogue.space,
        "prices": services.ledger.prices.version,
        "features": "",  # nothing is materialised here
    }
    counted = gateway.http.get("/metrics").text
    assert f'tastemaker_model_calls_total{{bundle="{TWO}",model="router",ok="True"}} 1.0' in counted


def test_servers_that_do_not_say_their_bundle_are_no_fault(gateway: Gateway) -> None:
    reply = gateway.ask("pink vase").json()["tastemaker"]
    assert reply["bundles"] == {}
    assert all("bundles" not in step for step in reply["steps"])


def test_a_record_from_before_this_was_kept_can_be_read() -> None:
    fields = {"id": "1", "created": 1, "conversation": "c", "question": "q", "text": "t"}
    lists: dict[str, list[str]] = {"items": [], "steps": [], "notices": []}
    rest = {"prompt_tokens": 0, "completion_tokens": 0, "ms": 1.0, "cents": 0.0, "trace": ""}
    reply = Reply.of_record({**fields, **lists, **rest})
    assert (reply.bundles, reply.calls, reply.versions) == ({}, (), {})


def test_the_number_of_series_is_bounded() -> None:
    registry = CollectorRegistry()
    metrics = AnsweredBy(registry)
    metrics.count(Called("router", f"{n:016x}", 1.0, True) for n in range(100))
    lines = generate_latest(registry).decode().splitlines()
    series = [line for line in lines if line.startswith("tastemaker_model_calls_total")]
    assert len(series) == AnsweredBy.MAX_BUNDLES + 1
    assert 'tastemaker_model_calls_total{bundle="other",model="router",ok="True"} 84.0' in series
