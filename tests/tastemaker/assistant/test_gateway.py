import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.router.messages import decode_items, decode_user
from tests.tastemaker.assistant.conftest import (
    HOSTILE,
    Gateway,
    Servers,
    call,
    embed,
    search_then_answer,
)


def test_a_search_is_answered_with_items_steps_tokens_and_a_record(
    gateway: Gateway, catalogue: Catalogue, tmp_path: Path
) -> None:
    reply = gateway.ask("pink vase").json()
    assert reply["object"] == "chat.completion"
    assert reply["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Here is what I found.",
    }
    assert reply["usage"] == {"prompt_tokens": 20, "completion_tokens": 6, "total_tokens": 26}
    ours = reply["tastemaker"]
    assert [step["tool"] for step in ours["steps"]] == ["search_items", "answer"]
    assert ours["steps"][0]["arguments"] == {"query": "pink vase"}
    assert ours["steps"][0]["num_items"] == len(ours["items"]) == 6
    assert ours["items"][0]["category"] == "vase"
    assert catalogue.item(ours["items"][0]["item_id"]).attributes["color"] == "pink"
    assert ours["items"][0]["ref"] == "@1#1"
    assert ours["tokens"] == {"prompt": 20, "completion": 6}
    assert ours["cents"] > sum(step["cents"] for step in ours["steps"]) > 0  # the user's embedding
    (sums,) = gateway.http.get("/api/ledger", params={"by": "conversation_id"}).json()["rows"]
    assert sums["cents"] == pytest.approx(ours["cents"], abs=1e-6)
    told = gateway.http.get(f"/v1/conversations/{ours['conversation']}").json()
    (turn,) = told["turns"]
    assert (turn["question"], turn["answer"]) == ("pink vase", "Here is what I found.")
    assert turn["items"] == ours["items"]
    (file,) = (tmp_path / "run" / "traces").iterdir()
    gateway.app.state.services.tracing.provider.force_flush()
    spans = [json.loads(line) for line in file.read_text().splitlines()]
    assert {s["context"]["trace_id"] for s in spans} == {f"0x{ours['trace']}"}
    names = [span["name"] for span in spans]
    assert names.count("router") == 2
    assert {"turn", "features", "tool", "answer"} <= set(names)


def test_a_picture_is_a_jpeg_and_an_item_is_json(gateway: Gateway) -> None:
    item = gateway.ask("pink vase").json()["tastemaker"]["items"][0]
    picture = gateway.http.get(item["image_url"])
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content.startswith(b"\xff\xd8")
    found = gateway.http.get(f"/items/{item['item_id']}").json()
    assert found["title"] == item["title"]
    missing = gateway.http.get("/items/nothing/image")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "not_found"


def test_the_router_sees_vectors_and_never_item_text(gateway: Gateway, servers: Servers) -> None:
    shown = gateway.ask("pink vase").json()["tastemaker"]["items"]
    last = servers.asked["router"][-1]
    assert [tool["function"]["name"] for tool in last["tools"]][-1] == "answer"
    handle, vectors = last["messages"][-1]["content"]
    assert handle == {"type": "text", "text": "@1"}
    assert decode_items(vectors).shape == (len(shown), len(embed("")))
    prompt = json.dumps(last["messages"])
    for item in shown:
        assert item["title"] not in prompt


def test_hostile_item_text_is_data(
    gateway: Gateway, servers: Servers, catalogue: Catalogue
) -> None:
    first = catalogue.items[0]
    words = f"{first.attributes['color']} {first.category}"
    shown = gateway.ask(words).json()["tastemaker"]["items"]
    assert HOSTILE in [item["title"] for item in shown]
    assert "onerror" not in json.dumps(servers.asked["router"])


def test_the_second_one_of_the_last_turn(gateway: Gateway, servers: Servers) -> None:
    first = gateway.ask("pink vase").json()
    second_item = first["tastemaker"]["items"][1]["item_id"]
    servers.script = [
        call("similar_items", item="@1#2"),
        call("answer", text="These come close.", items="@2"),
    ]
    earlier = [
        {"role": "user", "content": "pink vase"},
        {"role": "assistant", "content": first["choices"][0]["message"]["content"]},
    ]
    known = {"conversation": first["tastemaker"]["conversation"]}
    reply = gateway.ask("more like the second one", earlier=earlier, tastemaker=known).json()
    assert reply["tastemaker"]["conversation"] == known["conversation"]
    items = reply["tastemaker"]["items"]
    assert [item["ref"] for item in items] == [f"@2#{n}" for n in range(1, 7)]
    assert second_item not in {item["item_id"] for item in items}
    roles = [message["role"] for message in servers.asked["router"][-1]["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "user", "assistant", "tool"]


def test_a_forgotten_conversation_goes_on_as_plain_text(gateway: Gateway, servers: Servers) -> None:
    earlier = [
        {"role": "user", "content": "pink vase"},
        {"role": "assistant", "content": "Here is what I found."},
    ]
    servers.script = [call("similar_items", item="@1#2"), call("answer", text="Sorry.")]
    reply = gateway.ask("like the second", earlier=earlier, tastemaker={"conversation": "gone"})
    ours = reply.json()["tastemaker"]
    assert "forgotten" in ours["notices"][0]
    assert "the lists of this conversation are: none" in ours["steps"][0]["error"]
    assert ours["conversation"] != "gone"


def test_a_click_asks_for_similar_items_by_handle(gateway: Gateway, servers: Servers) -> None:
    first = gateway.ask("pink vase").json()["tastemaker"]
    clicked = first["items"][2]["item_id"]
    fields = {"conversation": first["conversation"], "similar_to": clicked}
    reply = gateway.ask("more like this", tastemaker=fields).json()["tastemaker"]
    step = reply["steps"][0]
    assert (step["tool"], step["arguments"]) == ("similar_items", {"item": "@1#3"})
    assert clicked not in {item["item_id"] for item in reply["items"]}
    events = servers.asked["recommender"][-1]["events"]
    assert events == [{"item_id": clicked, "action": "closeup"}]


def test_a_click_in_a_forgotten_conversation_brings_the_item_along(
    gateway: Gateway, servers: Servers, catalogue: Catalogue
) -> None:
    clicked = catalogue.items[7].item_id
    reply = gateway.ask("more like this", tastemaker={"similar_to": clicked}).json()["tastemaker"]
    assert reply["steps"][0]["arguments"] == {"item": "@1#1"}
    assert reply["items"][0]["ref"] == "@2#1"
    brought = servers.asked["router"][0]["messages"]
    user = next(message for message in brought if message["role"] == "user")
    vector = decode_items(user["content"][1])
    assert vector[0] == pytest.approx(catalogue.vectors([clicked])[0], abs=1e-3)


def test_a_user_is_known_by_what_they_did_a_moment_ago(
    gateway: Gateway, servers: Servers, catalogue: Catalogue
) -> None:
    liked = catalogue.items[3].item_id
    body = {"user": "ada", "events": [{"item_id": liked, "action": "save"}]}
    assert gateway.http.post("/api/events", json=body).json()["accepted"] == 1
    servers.script = [call("recommend"), call("answer", text="These should suit you.")]
    ours = gateway.ask("something for me", user="ada").json()["tastemaker"]
    system = servers.asked["router"][0]["messages"][0]
    assert system["role"] == "system"
    assert decode_user(system["content"][0]) == pytest.approx(embed("red"))
    assert len(ours["items"]) == 6
    assert ours["notices"] == []
    assert servers.asked["recommender"][0]["events"] == [{"item_id": liked, "action": "save"}]


def test_an_unknown_user_is_answered_with_a_notice(gateway: Gateway, servers: Servers) -> None:
    ours = gateway.ask("pink vase", user="nobody").json()["tastemaker"]
    assert "Nothing is known of you yet" in ours["notices"][0]
    assert ours["items"]
    assert servers.asked["router"][0]["messages"][0]["role"] == "user"


def test_a_picture_of_the_users_own_becomes_a_list(
    gateway: Gateway, servers: Servers, catalogue: Catalogue
) -> None:
    picture = base64.b64encode(catalogue.image(catalogue.items[0].item_id)).decode()
    servers.script = [
        call("similar_items", item="@1#1", query="red"),
        call("answer", text="These come close.", items="@2"),
    ]
    content = [
        {"type": "text", "text": "like this in red"},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{picture}"}},
    ]
    ours = gateway.ask(content).json()["tastemaker"]
    assert len(ours["items"]) == 6
    assert servers.asked["encoder"][0] == {"image": picture}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "the last one must be the user's"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, "the last one must be the user's"),
    ({"messages": [{"role": "user", "content": "  "}]}, "the last one is empty"),
    ({"messages": [{"role": "user", "content": "x" * 2001}]}, "2001 characters; at most 2000"),
    ({"messages": [{"role": "user", "content": "x"}], "n": 2}, "n=2"),
    ({"messages": [{"role": "user", "content": "x"}] * 201}, "201 messages; at most 200"),
    ({"messages": "x"}, "messages"),
    ({"messages": [{"role": "user", "content": "x"}], "tastemaker": {"conv": "x"}}, "conv"),
    (
        {"messages": [{"role": "user", "content": "x"}], "tastemaker": {"similar_to": "no-such"}},
        "no item 'no-such'",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "http://169.254.0.1/"}}],
                }
            ]
        },
        "only data:image",
    ),
    (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
                    ],
                }
            ]
        },
        "not a picture",
    ),
]


@pytest.mark.parametrize(("body", "said"), BAD, ids=lambda value: str(value)[:30])
def test_a_bad_request_is_a_400_that_says_why(
    gateway: Gateway, body: dict[str, Any], said: str
) -> None:
    refused = gateway.http.post("/v1/chat/completions", json=body)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert said in error["message"]


def test_what_is_not_json_is_refused(gateway: Gateway) -> None:
    json_type = {"content-type": "application/json"}
    broken = gateway.http.post("/v1/chat/completions", content="{", headers=json_type)
    assert broken.status_code == 400
    form = gateway.http.post(
        "/v1/chat/completions", content="{}", headers={"content-type": "text/plain"}
    )
    assert form.status_code == 400
    long = gateway.http.post("/v1/chat/completions", content=b" " * (13 << 20), headers=json_type)
    assert long.status_code == 413


@pytest.mark.parametrize("service", ["encoder", "retrieval", "recommender", "router"])
def test_a_server_that_is_down_leaves_an_answer_with_a_notice(
    gateway: Gateway, servers: Servers, service: str, catalogue: Catalogue
) -> None:
    body = {"user": "ada", "events": [{"item_id": catalogue.items[3].item_id, "action": "save"}]}
    gateway.http.post("/api/events", json=body)
    servers.down = {service}
    reply = gateway.ask("pink vase", user="ada")
    assert reply.status_code == 200
    ours = reply.json()["tastemaker"]
    assert ours["items"]
    assert [n for n in ours["notices"] if "right now" in n]
    health = gateway.http.get("/healthz")
    assert health.status_code == 503
    faults = {k for k, v in health.json()["services"].items() if not v["ready"]}
    assert faults - {"features"} == {service}
    servers.down = set()
    servers.script = search_then_answer
    again = gateway.ask("pink vase", user="ada").json()["tastemaker"]
    assert again["notices"] == []


def test_health_of_all_servers(gateway: Gateway, catalogue: Catalogue) -> None:
    health = gateway.http.get("/healthz")
    assert health.status_code == 200
    assert health.json()["dataset"] == catalogue.dataset.digest


def test_a_stream_tells_steps_then_text_then_items(gateway: Gateway) -> None:
    reply = gateway.ask("pink vase", stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    steps = [c["tastemaker"]["step"]["tool"] for c in chunks if "step" in c.get("tastemaker", {})]
    assert steps == ["search_items", "answer"]
    text = "".join(c["choices"][0]["delta"].get("content", "") for c in chunks)
    assert text == "Here is what I found."
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert len(chunks[-1]["tastemaker"]["items"]) == 6


def test_a_stream_that_cannot_begin_has_a_status(gateway: Gateway) -> None:
    unknown = gateway.ask("x", stream=True, tastemaker={"similar_to": "no-such"})
    assert unknown.status_code == 400


def test_a_stream_whose_router_breaks_off_ends_with_an_answer(
    gateway: Gateway, servers: Servers
) -> None:
    def breaks(messages: list[dict[str, Any]]) -> dict[str, Any]:
        servers.down = {"router"}
        return call("search_items", query="lamp")

    servers.script = breaks
    lines = gateway.ask("pink vase", stream=True).text.strip().split("\n\n")
    assert lines[-1] == "data: [DONE]"
    ours = json.loads(lines[-2].removeprefix("data: "))["tastemaker"]
    assert ours["items"]
    assert "cannot plan" in ours["notices"][0]


def test_the_page_is_served_with_a_strict_policy(gateway: Gateway) -> None:
    page = gateway.http.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert 'aria-live="polite"' in page.text
    for name in ("app.js", "style.css", "icon.svg"):
        assert gateway.http.get(f"/page/{name}").status_code == 200
    assert gateway.http.get("/page/..%2Fgateway.py").status_code == 404
    assert "innerHTML" not in gateway.http.get("/page/app.js").text


def test_suggestions_can_be_answered_and_users_are_real(
    gateway: Gateway, catalogue: Catalogue
) -> None:
    first = gateway.http.get("/api/suggestions").json()["suggestions"][0]
    assert gateway.ask(first).json()["tastemaker"]["items"]
    (user,) = gateway.http.get("/api/users").json()["users"]
    assert user["user_id"] == "ada"
    assert set(user["likes"]) <= {item.category for item in catalogue.items[:5]}


def test_nonsense_of_a_server_is_not_ours(gateway: Gateway, servers: Servers) -> None:
    servers.script = [{"role": "assistant", "tool_calls": "nonsense"}] * 2
    assert gateway.ask("pink vase").status_code == 200
    servers.script = search_then_answer
    servers.recommend = lambda _: (200, {"predictions": [{}]})  # type: ignore[method-assign]
    body = {"user": "ada", "events": [{"item_id": "nothing", "action": "save"}]}
    assert gateway.http.post("/api/events", json=body).status_code == 400
    item = servers.catalogue.items[0].item_id
    gateway.http.post(
        "/api/events", json={"user": "ada", "events": [{"item_id": item, "action": "save"}]}
    )
    ours = gateway.ask("pink vase", user="ada").json()["tastemaker"]
    assert "taste is not available" in ours["notices"][0]
    assert ours["items"]


def test_a_retry_gets_what_the_first_try_got(gateway: Gateway, servers: Servers) -> None:
    body = {"messages": [{"role": "user", "content": "pink vase"}]}
    key = {"Idempotency-Key": "k-1"}
    first = gateway.http.post("/v1/chat/completions", json=body, headers=key).json()
    asked = len(servers.asked["router"])
    again = gateway.http.post("/v1/chat/completions", json=body, headers=key).json()
    assert again == first
    assert len(servers.asked["router"]) == asked
    streamed = gateway.http.post("/v1/chat/completions", json={**body, "stream": True}, headers=key)
    assert streamed.status_code == 409
    other = {"messages": [{"role": "user", "content": "red vase"}]}
    refused = gateway.http.post("/v1/chat/completions", json=other, headers=key)
    assert refused.status_code == 409
    assert "another request" in refused.json()["error"]["message"]


def test_metrics_and_the_api_are_described(gateway: Gateway) -> None:
    gateway.ask("pink vase")
    text = gateway.http.get("/metrics").text
    assert 'tastemaker_turns_total{status="done"} 1.0' in text
    assert "tastemaker_feature_reads_total" in text
    paths = gateway.http.get("/openapi.json").json()["paths"]
    assert {"/v1/chat/completions", "/v1/responses", "/api/events"} <= set(paths)
