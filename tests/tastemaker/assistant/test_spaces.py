"""No vector of another space than the catalogue's is read, whoever gives it."""

from typing import Any

import pytest

from tastemaker.router.messages import decode_user
from tests.tastemaker.assistant.conftest import Gateway, Servers, call

OTHER = "f" * 16


def in_another_space(answer: Any) -> Any:
    def answered(instance: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        status, body = answer(instance)
        return status, {**body, "space": OTHER}

    return answered


def known(gateway: Gateway) -> None:
    item = gateway.ask("pink vase").json()["tastemaker"]["items"][0]["item_id"]
    events = {"user": "ada", "events": [{"item_id": item, "action": "save"}]}
    assert gateway.http.post("/api/events", json=events).status_code == 200


def test_a_vector_of_another_encoder_searches_nothing(
    gateway: Gateway, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers, "encode", in_another_space(servers.encode))
    servers.asked.clear()
    reply = gateway.ask("pink vase").json()["tastemaker"]
    assert OTHER in reply["steps"][0]["error"]
    assert "retrieval" not in servers.asked


def test_a_user_embedding_of_another_space_never_reaches_the_router(
    gateway: Gateway, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(gateway)
    servers.asked.clear()
    assert gateway.ask("something", user="ada").status_code == 200
    told = servers.asked["router"][0]["messages"][0]
    assert decode_user(told["content"][0]).any()  # of the right space it does
    monkeypatch.setattr(servers, "recommend", in_another_space(servers.recommend))
    servers.asked.clear()
    reply = gateway.ask("something", user="ada").json()["tastemaker"]
    assert servers.asked["router"][0]["messages"][0]["role"] == "user"
    assert "What is known of your taste is not available right now." in reply["notices"]
    assert reply["items"]


def test_recommendations_of_another_space_are_a_part_that_is_down(
    gateway: Gateway, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    known(gateway)
    monkeypatch.setattr(servers, "recommend", in_another_space(servers.recommend))
    servers.script = [call("recommend"), call("answer", text="Sorry.")]
    reply = gateway.ask("something", user="ada").json()["tastemaker"]
    assert OTHER in reply["steps"][0]["error"]
