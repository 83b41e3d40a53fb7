"""The whole API against what it says of itself: no answer of 500, none that is not described.

Schemathesis makes requests that fit `/openapi.json` and requests that do not; the app is the real
one, on a real port. Random requests seldom get far, so good ones are spoilt as well, one value at a
time.
"""

import copy
import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis import checks as general
from schemathesis.specs.openapi import checks as openapi

from tastemaker.assistant.catalogue import Catalogue
from tests.tastemaker.assistant.conftest import Gateway

pytestmark = pytest.mark.slow
NUM_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "15"))  # of each operation and way
CHECKS = [
    general.not_a_server_error,
    openapi.status_code_conformance,
    openapi.content_type_conformance,
    openapi.response_schema_conformance,
    openapi.response_headers_conformance,
]
JSON = {"content-type": "application/json"}


def faults(operation: Any, seen: set[tuple[str, int]], **given_values: Any) -> list[str]:
    """What goes wrong with requests of one operation, the shortest that shows it."""

    @settings(
        max_examples=NUM_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(**given_values))
    def attack(case: Any) -> None:
        reply = case.call(timeout=20)
        seen.add((operation.label, reply.status_code))
        degraded = operation.path == "/healthz" and reply.status_code == 503
        case.validate_response(reply, checks=CHECKS[1:] if degraded else CHECKS)

    try:
        attack()
    except Unsatisfiable:  # nothing in it can be wrong
        return []
    except BaseExceptionGroup as several:
        return [f"{operation.label}: {one}" for one in several.exceptions]
    return []


def test_no_request_breaks_the_app_or_its_description(served: str, catalogue: Catalogue) -> None:
    known = things_of_ada(served, catalogue)
    schema = schemathesis.openapi.from_url(f"{served}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    operations.sort(key=lambda one: (one.method == "delete", "users" in one.path))  # last the ends
    seen: set[tuple[str, int]] = set()
    wrong = []
    for operation in operations:
        for mode in GenerationMode:
            wrong += faults(operation, seen, generation_mode=mode)
        names = [part.name for part in operation.path_parameters]
        if set(names) <= set(known):
            named = {"path_parameters": {name: known[name] for name in names}}
            asked = {"query": {"user": "ada"}} if operation.query else {}
            wrong += faults(operation, seen, **named, **asked)
    assert not wrong, "\n\n".join(wrong)
    reached = {label for label, status in seen if status < 300}
    unreached = {operation.label for operation in operations} - reached
    assert unreached <= {"POST /api/events", "POST /api/tools", "DELETE /api/tools/{name}"} | {
        "POST /v1/chat/completions"  # the next test reaches them
    }


def things_of_ada(url: str, catalogue: Catalogue) -> dict[str, str]:
    """One of each thing that a path can name."""
    item_id = catalogue.items[1].item_id
    with httpx.Client(base_url=url, trust_env=False) as http:
        board = http.post("/api/boards", json={"user": "ada", "title": "Hall", "items": [item_id]})
        reply = http.post("/v1/responses", json={"input": "pink vase", "user": "ada"}).json()
    return {
        "item_id": item_id,
        "user_id": "ada",
        "board_id": board.json()["board_id"],
        "conversation_id": reply["conversation"]["id"],
        "response_id": reply["id"],
    }


def good_requests(catalogue: Catalogue, known: dict[str, str]) -> list[tuple[str, str, Any]]:
    """Requests with every field that there is, each of which is answered well."""
    item_id, picture = known["item_id"], "data:image/jpeg;base64,/9j/"
    texts = [{"type": "text", "text": "pink"}, {"type": "image_url", "image_url": {"url": picture}}]
    inputs = [
        {"type": "input_text", "text": "pink"},
        {"type": "input_image", "image_url": picture},
    ]
    chat = {
        "model": "tastemaker",
        "user": "ada",
        "n": 1,
        "stream": False,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "red lamp"},
            {"role": "assistant", "content": "Here."},
            {"role": "user", "content": texts},
        ],
        "tastemaker": {
            "conversation": known["conversation_id"],
            "board": known["board_id"],
            "outcome": "save",
        },
    }
    response = {
        "user": "ada",
        "input": [{"role": "user", "content": inputs, "type": "message"}],
        "conversation": {"id": known["conversation_id"]},
        "instructions": "Be brief.",
        "tastemaker": {"similar_to": item_id},
    }
    event = {"item_id": item_id, "action": "save", "surface": "feed"}
    return [
        ("POST", "/v1/chat/completions", chat),
        ("POST", "/v1/responses", response),
        (
            "POST",
            "/v1/responses",
            {"user": "ada", "input": "x", "previous_response_id": known["response_id"]},
        ),
        (
            "POST",
            "/api/events",
            {"user": "ada", "conversation": known["conversation_id"], "events": [event]},
        ),
        ("POST", "/api/boards", {"user": "ada", "title": "Den", "items": [item_id]}),
        (
            "PUT",
            f"/api/boards/{known['board_id']}?user=ada",
            {"title": "Den", "items": [item_id]},
        ),
    ]


NASTY: list[Any] = [
    None,
    True,
    0,
    -1,
    10**30,
    1e308,
    float("nan"),
    "",
    " ",
    "\x00",
    "a\r\nb: c",
    "\ud800",
    "\u202e\u2066",
    "ﷺ" * 3000,
    "' or 1=1 --",
    "../../etc/passwd",
    "<script>",
    "%s%n{0}",
    "data:image/png;base64,AAAA",
    [],
    {},
    [[[]]],
    {"\x00": "\ud800"},
    ["\ud800"],
]


def spoilt(value: Any) -> Iterator[Any]:
    """The value with one part of it made nasty, or taken away, each in turn."""
    yield from copy.deepcopy(NASTY)
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            for other in spoilt(value[key]):
                changed = copy.copy(value)
                changed[key] = other
                yield changed
    if isinstance(value, dict):
        for key in value:
            yield {name: part for name, part in value.items() if name != key}
        yield {**value, "\ud800": "\ud800"}


def test_good_requests_with_one_bad_value_are_answered_or_refused(
    gateway: Gateway, catalogue: Catalogue
) -> None:
    http, item_id = gateway.http, catalogue.items[1].item_id
    board = http.post("/api/boards", json={"user": "ada", "title": "Hall", "items": [item_id]})
    reply = http.post("/v1/responses", json={"input": "pink vase", "user": "ada"}).json()
    known = {
        "item_id": item_id,
        "board_id": board.json()["board_id"],
        "conversation_id": reply["conversation"]["id"],
        "response_id": reply["id"],
    }
    broken, num = [], 0
    for method, path, body in good_requests(catalogue, known):
        good = http.request(method, path, json=body)
        assert good.status_code < 300, (path, good.text)
        for number, changed in enumerate(spoilt(body)):
            key = {"Idempotency-Key": f"{path} {number}"} if number % 2 else {}
            reply = http.request(method, path, content=json.dumps(changed), headers={**JSON, **key})
            num += 1
            if reply.status_code not in (200, 201, 400, 404, 409):
                broken.append(
                    (path, reply.status_code, reply.text[:200], json.dumps(changed)[:400])
                )
    assert num > 800
    assert not broken, f"{len(broken)} of {num}, such as {broken[:3]}"
