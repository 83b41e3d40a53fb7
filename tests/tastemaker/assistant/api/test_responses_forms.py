"""The forms that a Responses request can have, and what is wrong with those that it cannot."""

import json
from typing import Any

import httpx
import pytest

from tests.tastemaker.assistant.conftest import Gateway, Servers, call

PICTURE = "data:image/jpeg;base64,/9j/"


def respond(gateway: Gateway, **body: Any) -> httpx.Response:
    return gateway.http.post("/v1/responses", json=body)


def said(role: str, content: Any) -> dict[str, Any]:
    return {"role": role, "content": content}


FORMS: list[Any] = [
    "pink vase",
    [said("user", "pink vase")],
    [{"type": "message", **said("user", "pink vase")}],
    [said("user", [{"type": "input_text", "text": "pink vase"}])],
    [
        said("user", [{"type": "input_text", "text": "red lamp"}]),
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            **said("assistant", [{"type": "output_text", "text": "Here.", "annotations": []}]),
        },
        said("user", "pink vase"),
    ],
]


@pytest.mark.parametrize("given", FORMS, ids=range(len(FORMS)))
def test_the_same_question_in_every_form(gateway: Gateway, servers: Servers, given: Any) -> None:
    reply = respond(gateway, input=given)
    assert reply.status_code == 200, reply.text
    (*calls, message) = reply.json()["output"]
    assert message["content"][0]["text"] == "Here is what I found."
    assert json.loads(calls[0]["arguments"]) == {"query": "pink vase"}
    assert calls[0]["output"] == "6 items"
    prompt = json.dumps(servers.asked["router"][0]["messages"])
    assert ("red lamp" in prompt) == (given is FORMS[-1])


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({}, "input", "input"),
    ({"input": None}, "input", "input"),
    ({"input": ""}, "input", "the last one is empty"),
    ({"input": "  \n "}, "input", "the last one is empty"),
    ({"input": []}, "input", "must be the user's"),
    ({"input": [said("assistant", "x")]}, "input", "must be the user's"),
    ({"input": [said("tool", "x")]}, "input.0.role", "role"),
    ({"input": [said("user", [])]}, "input", "the last one is empty"),
    ({"input": [said("user", "x")] * 201}, "input", "201 messages; at most 200"),
    ({"input": "x" * 2001}, "input", "2001 characters; at most 2000"),
    (
        {"input": [said("user", [{"type": "input_image", "image_url": PICTURE}] * 5)]},
        "input",
        "5 pictures; at most 4",
    ),
    (
        {"input": [said("user", [{"type": "input_image", "file_id": "f"}])]},
        "input",
        "no content part of type 'input_image'",
    ),
    (
        {"input": [said("user", [{"type": "text", "text": "x"}])]},
        "input",
        "no content part of type 'text'",
    ),
    (
        {"input": [said("user", [{"type": "input_image", "image_url": f"{PICTURE}*"}])]},
        "input",
        "not base64",
    ),
    ({"input": "x", "tools": [{"type": "function"}]}, "tools", "its own tools only"),
    ({"input": "x", "user": ""}, "user", "at least 1 character"),
    ({"input": "x", "user": "u" * 257}, "user", "at most"),
    ({"input": "x", "conversation": {}}, "conversation.id", "conversation"),
    ({"input": "x", "conversation": "c" * 65}, "conversation", "at most 64"),
    ({"input": "x", "stream": "maybe"}, "stream", "boolean"),
    ({"input": "x", "tastemaker": {"shop_room": True}}, "tastemaker", "has no picture"),
    ({"input": "x", "tastemaker": {"nonsense": 1}}, "tastemaker.nonsense", "not permitted"),
    ({"input": "x", "tastemaker": {"outcome": "buy"}}, "tastemaker.outcome", "'save'"),
    (
        {"input": "x", "tastemaker": {"similar_to": "no-such"}},
        "tastemaker.similar_to",
        "no item 'no-such'",
    ),
]


@pytest.mark.parametrize(("body", "param", "why"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_named(
    gateway: Gateway, servers: Servers, body: dict[str, Any], param: str, why: str
) -> None:
    for stream in ({}, {"stream": True}):
        refused = respond(gateway, **{**stream, **body})
        assert refused.status_code == 400, refused.text
        error = refused.json()["error"]
        assert error["type"] == "invalid_request_error"
        assert error["param"] == param
        assert why in error["message"]
    assert "router" not in servers.asked


def test_a_response_is_found_by_its_whole_id_alone(gateway: Gateway) -> None:
    made = respond(gateway, input="pink vase").json()
    assert gateway.http.get(f"/v1/responses/{made['id']}").json()["output"] == made["output"]
    for wrong in (
        made["id"].removeprefix("resp_"),
        f"{made['id']}0",
        f"resp_{made['id']}",
        "resp_",
    ):
        assert gateway.http.get(f"/v1/responses/{wrong}").status_code == 404
        assert gateway.http.delete(f"/v1/responses/{wrong}").status_code == 404
    gone = respond(gateway, input="x", previous_response_id="resp_0")
    assert gone.status_code == 404
    assert "no response 'resp_0'" in gone.json()["error"]["message"]


def test_a_deleted_response_is_no_longer_seen(gateway: Gateway, servers: Servers) -> None:
    made = respond(gateway, input="pink vase").json()
    reply = gateway.http.delete(f"/v1/responses/{made['id']}")
    assert reply.json() == {"id": made["id"], "object": "response", "deleted": True}
    servers.asked.clear()
    servers.script = [call("similar_items", item="@1#1"), call("answer", text="Nothing.")]
    after = respond(gateway, input="more", conversation=made["conversation"]["id"]).json()
    assert "none" in after["tastemaker"]["steps"][0]["error"]
    assert "pink vase" not in json.dumps(servers.asked["router"])


def test_a_call_that_failed_is_told_as_failed(gateway: Gateway, servers: Servers) -> None:
    servers.script = [call("similar_items", item="@9#1"), call("answer", text="Nothing.")]
    failed, *_ = respond(gateway, input="more").json()["output"]
    assert failed["status"] == "failed"
    assert failed["output"] is None
    assert "@9" in failed["error"]["content"]


def test_a_stream_of_a_retry_is_told_as_the_first_try(gateway: Gateway) -> None:
    body = {"input": "pink vase", "stream": True}
    key = {"Idempotency-Key": "k"}
    first = gateway.http.post("/v1/responses", json=body, headers=key).text
    again = gateway.http.post("/v1/responses", json=body, headers=key).text
    created, *_, completed = (
        json.loads(event.partition("data: ")[2]) for event in again.strip().split("\n\n")
    )
    assert created["response"]["id"] == completed["response"]["id"]
    assert (
        first.strip().rpartition("data: ")[2].partition('"response"')[2]
        == (again.strip().rpartition("data: ")[2].partition('"response"')[2])
    )


def test_what_is_not_used_is_said(gateway: Gateway) -> None:
    for body in (
        {"input": "pink vase", "instructions": "Be brief."},
        {"input": [said("developer", "Be brief."), said("user", "pink vase")]},
    ):
        notices = respond(gateway, **body).json()["tastemaker"]["notices"]
        assert notices == ["Instructions and system messages are not used."]
