"""Real HTTP endpoints that answer, refuse, stall, break off and talk nonsense."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from tastemaker.assistant.http_client import Pool
from tastemaker.assistant.providers.backend import BackendFault
from tastemaker.assistant.providers.members import build_policy
from tastemaker.assistant.providers.openai_compatible import (
    OpenAICompatible,
    estimated_request_tokens,
    estimated_tokens,
)
from tastemaker.assistant.providers.own import OwnRouter
from tastemaker.assistant.providers.policy import Policy
from tastemaker.assistant.providers.request import RouterReply
from tastemaker.assistant.providers.settings import ProvidersConfig
from tastemaker.assistant.providers.wire import MAX_REPLY_BYTES, retry_after_s
from tests.tastemaker.assistant.conftest import serving
from tests.tastemaker.assistant.providers.conftest import SEARCHED, asked, called, item_list

USAGE = {
    "prompt_tokens": 900,
    "completion_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 800},
}
KEY = "sk-very-secret-0001"


def completion(message: Any) -> dict[str, Any]:
    return {"choices": [{"message": message}], "usage": USAGE}


class Endpoint:
    """What the endpoint says next, and what it was sent."""

    def __init__(self) -> None:
        self.says: Callable[[], Awaitable[Response]] | Any = completion(SEARCHED)
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/{path:path}")
        async def get(path: str) -> dict[str, str]:
            return {"path": path}

        @app.post("/v1/chat/completions")
        async def chat(request: Request) -> Response:
            self.bodies.append(await request.json())
            self.headers.append(dict(request.headers))
            return await self.says() if callable(self.says) else JSONResponse(self.says)

        return app


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    with serving(found.app()) as url:
        found.url = url
        yield found


def complete(endpoint: Endpoint, timeout_s: float = 5.0, **more: Any) -> RouterReply:
    async def run() -> RouterReply:
        async with aclosing(Pool()) as http:
            backend = OpenAICompatible(f"{endpoint.url}/v1", http, model="m", name="them", **more)
            return await backend.complete(asked(item_list("a", "b")), timeout_s=timeout_s)

    return asyncio.run(run())


def status(code: int, text: str = "no", **headers: str) -> Callable[[], Awaitable[Response]]:
    async def say() -> Response:
        return PlainTextResponse(text, code, headers)

    return say


async def slowly() -> Response:
    async def drip() -> AsyncIterator[bytes]:
        for _ in range(100):  # each piece in time, the whole never
            yield b" "
            await asyncio.sleep(0.05)

    return StreamingResponse(drip())


async def breaking_off() -> Response:
    async def half() -> AsyncIterator[bytes]:
        yield b'{"choices": ['

    return StreamingResponse(half(), headers={"content-length": "5000"})


async def far_too_long() -> Response:
    async def flood() -> AsyncIterator[bytes]:
        for _ in range(2 * MAX_REPLY_BYTES // 65536):
            yield b"x" * 65536

    return StreamingResponse(flood())


def test_a_good_reply_with_its_counts(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THEIR_KEY", KEY)
    reply = complete(endpoint, api_key_env="THEIR_KEY", body={"seed": 1, "temperature": None})
    assert reply == RouterReply(SEARCHED, 900, 12, 800)
    body = endpoint.bodies[0]
    assert (body["model"], body["seed"]) == ("m", 1)
    assert "temperature" not in body
    assert KEY not in json.dumps(body)
    assert endpoint.headers[0]["authorization"] == f"Bearer {KEY}"
    assert estimated_tokens(body) == pytest.approx(len(json.dumps(body)) / 4, rel=0.1)


def test_an_unanswered_request_is_estimated_without_its_lists() -> None:
    request = asked(item_list(*["a", "b"] * 5), user_text="likes oak")
    complete_tokens = estimated_tokens(
        OpenAICompatible("http://x", Pool(), model="m", name="m").body(request)
    )
    without_lists = replace(request, lists=())
    assert estimated_request_tokens(without_lists) == pytest.approx(complete_tokens, rel=0.15)


def test_parallel_calls_pass(endpoint: Endpoint) -> None:
    two = called("search_items", query="x")
    two["tool_calls"] += called("recommend")["tool_calls"]
    endpoint.says = completion(two)
    assert len(complete(endpoint).message["tool_calls"]) == 2


def test_a_tool_of_an_operators_is_written_without_its_dot(endpoint: Endpoint) -> None:
    function = {"name": "stock.in--store", "description": "", "parameters": {"type": "object"}}
    request = asked()
    request = replace(request, tools=[*request.tools, {"type": "function", "function": function}])
    endpoint.says = completion(called("stock--in--store"))

    async def ask() -> RouterReply:
        async with aclosing(Pool()) as http:
            backend = OpenAICompatible(f"{endpoint.url}/v1", http, model="m", name="m")
            return await backend.complete(request, timeout_s=5)

    reply = asyncio.run(ask())
    assert endpoint.bodies[-1]["tools"][-1]["function"]["name"] == "stock--in--store"
    assert reply.message["tool_calls"][0]["function"]["name"] == "stock.in--store"


def test_plain_words_are_an_answer(endpoint: Endpoint) -> None:
    endpoint.says = completion({"role": "assistant", "content": "Hello there."})
    call = complete(endpoint).message["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) == ("answer", {"text": "Hello there."})


@pytest.mark.parametrize(
    ("says", "kind"),
    [
        (status(500), "server"),
        (status(503), "server"),
        (status(429), "limited"),
        (status(400), "refused"),
        (status(401), "access"),
        (status(404), "access"),
        (status(302, location="http://127.0.0.1:1/"), "server"),
        (status(200, "not json"), "garbage"),
        (status(200, "[" * 100_000), "garbage"),
        (far_too_long, "garbage"),
        (breaking_off, "connection"),
        (slowly, "timeout"),
    ],
)
def test_each_kind_of_failure(endpoint: Endpoint, says: Any, kind: str) -> None:
    endpoint.says = says
    start = time.monotonic()
    with pytest.raises(BackendFault) as caught:
        complete(endpoint, timeout_s=1.0)
    assert caught.value.kind == kind
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"choices": []},
        {"choices": [{"message": None}]},
        {"choices": [{"message": {"content": ["a"]}}]},
        {"choices": [{"message": {"content": None}}]},
        {"choices": [{"message": {"content": "", "tool_calls": "x"}}]},
        {"choices": [{"message": {"tool_calls": [{"function": {"name": 3}}]}}]},
        {"choices": [{"message": SEARCHED}], "usage": {"prompt_tokens": "many"}},
        {"choices": [{"message": SEARCHED}], "usage": 3},
        completion(called("rm_rf")),
        completion(
            {"tool_calls": [{"function": {"name": "search_items", "arguments": "{query:"}}]}
        ),
        completion({"tool_calls": [{"function": {"name": "search_items", "arguments": "[1]"}}]}),
    ],
)
def test_garbage_of_every_form_is_a_fault(endpoint: Endpoint, body: Any) -> None:
    endpoint.says = body
    with pytest.raises(BackendFault) as caught:
        complete(endpoint)
    assert caught.value.kind == "garbage"


def test_nobody_there() -> None:
    async def run() -> None:
        async with aclosing(Pool()) as http:
            backend = OwnRouter("http://127.0.0.1:9", http)
            assert await backend.ready()
            await backend.complete(asked(), timeout_s=2)

    with pytest.raises(BackendFault) as caught:
        asyncio.run(run())
    assert caught.value.kind == "connection"


def test_a_provider_that_repeats_the_key_does_not_spread_it(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", KEY)
    endpoint.says = status(401, f"Incorrect API key provided: {KEY}")
    with pytest.raises(BackendFault) as caught:
        complete(endpoint, api_key_env="THEIR_KEY")
    assert KEY not in str(caught.value)
    assert "***" in str(caught.value)


def test_retry_after_is_a_number_or_a_date(endpoint: Endpoint) -> None:
    endpoint.says = status(429, **{"retry-after": "7"})
    with pytest.raises(BackendFault) as caught:
        complete(endpoint)
    assert caught.value.retry_after_s == 7
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert retry_after_s(soon) == pytest.approx(90, abs=3)
    assert retry_after_s("-5") == 0
    assert [retry_after_s(word) for word in ("", None, "soon", "nan")] == [None] * 4
    assert (retry_after_s("1e99") or 0) <= 3600


def test_our_own_router_gets_the_vectors(endpoint: Endpoint) -> None:
    async def run() -> RouterReply:
        async with aclosing(Pool()) as http:
            backend = OwnRouter(endpoint.url, http)
            assert await backend.ready() == ""
            return await backend.complete(asked(item_list("a")), timeout_s=5)

    assert asyncio.run(run()).completion_tokens == 12
    assert "image_embeds" in json.dumps(endpoint.bodies[0])
    assert "audio_embeds" in json.dumps(endpoint.bodies[0])


def test_a_family_of_real_endpoints_recovers_without_a_restart(
    endpoint: Endpoint, ledger: Any
) -> None:
    """Ours breaks in every way in turn, a third party steps in, then ours is back."""
    backup = Endpoint()
    with serving(backup.app()) as backup_url:
        config = ProvidersConfig.model_validate(
            {
                "members": [
                    {"name": "ours", "url": endpoint.url, "price": "own-router", "timeout_s": 0.5},
                    {
                        "name": "theirs",
                        "kind": "openai",
                        "url": f"{backup_url}/v1",
                        "model": "m",
                        "price": "gpt-6-luna",
                    },
                ],
                "open_s": 0.2,
            }
        )

        async def run() -> None:
            async with aclosing(Pool()) as http:
                policy: Policy = build_policy(config, http, ledger)
                broken = (status(500), slowly, breaking_off, {"choices": []}, status(429))
                for says in broken:
                    endpoint.says = says
                    routed = await policy.complete(asked(item_list("a")), timeout_s=5)
                    assert routed.member == "theirs"
                    assert routed.cents > 0
                assert policy.member("ours").health.state == "open"
                endpoint.says = completion(SEARCHED)
                await asyncio.sleep(0.25)
                routed = await policy.complete(asked(item_list("a")), timeout_s=5)
                assert routed.member == "ours"
                assert await policy.readiness() == {"ours": "", "theirs": ""}
                await policy.close()

        asyncio.run(run())
