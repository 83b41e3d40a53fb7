"""A plain request is taken apart without the framework's solver, and answered as by it."""

import json
from typing import Any

import fastapi.routing
import pytest
from fastapi import FastAPI, Request

from tests.tastemaker.assistant.conftest import Gateway

VASE = {"messages": [{"role": "user", "content": "pink vase"}]}
PATHS = {"/v1/chat/completions": VASE, "/v1/responses": {"input": "pink vase"}}
JSON = {"content-type": "application/json"}


def without_solver(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    """The framework's solver fails for this app; the model servers are apps, too."""
    solve = fastapi.routing.solve_dependencies

    async def never(*, request: Request, **rest: Any) -> Any:
        assert request.app is not app, "the framework was asked"
        return await solve(request=request, **rest)

    monkeypatch.setattr(fastapi.routing, "solve_dependencies", never)


@pytest.mark.parametrize("path", PATHS)
def test_a_plain_request_does_without_the_solver(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    without_solver(gateway.app, monkeypatch)
    reply = gateway.http.post(path, json=PATHS[path])
    assert reply.status_code == 200, reply.text
    assert reply.json()["tastemaker"]["items"]


@pytest.mark.parametrize("path", PATHS)
def test_a_retry_of_a_plain_request_is_known(gateway: Gateway, path: str) -> None:
    key = {"idempotency-key": "k1"}
    first, again = (gateway.http.post(path, json=PATHS[path], headers=key) for _ in range(2))
    assert first.status_code == 200
    assert first.json()["id"] == again.json()["id"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"messages": 1}',
        b'{"messages": [{"role": "nobody", "content": "a"}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [{"role": "user", "content": "a"}], "user": "\\u0007"}',
        b'{"messages": [{"role": "user", "content": "a"}], "n": 2}',
        b'{"messages": [{"role": "user", "content": "a"}], "tastemaker": {"colour": 1}}',
        b'{"messages": [{"role": "user", "content": "a"}], "tools": [{}]}',
        b"[" * 100_000,
    ],
)
def test_what_is_wrong_is_said_as_before(gateway: Gateway, body: bytes) -> None:
    path = "/v1/chat/completions"
    ours = gateway.http.post(path, content=body, headers=JSON)
    gateway.app.dependency_overrides[object] = object
    general = gateway.http.post(path, content=body, headers=JSON)
    assert 400 <= ours.status_code < 500
    assert (ours.status_code, ours.json()) == (general.status_code, general.json())


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "text/plain", ""])
def test_other_content_types_are_the_frameworks(gateway: Gateway, kind: str) -> None:
    content = json.dumps(VASE).encode()
    reply = gateway.http.post(
        "/v1/chat/completions", content=content, headers={"content-type": kind}
    )
    assert reply.status_code == (200 if kind.startswith("application") else 400), reply.text
