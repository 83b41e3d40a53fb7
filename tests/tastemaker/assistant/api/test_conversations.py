from typing import Any

import pytest

from tests.tastemaker.assistant.conftest import Gateway, Servers, call


def asked(gateway: Gateway, text: str = "pink vase", **fields: Any) -> dict[str, Any]:
    ours: dict[str, Any] = gateway.ask(text, **fields).json()["tastemaker"]
    return ours


def test_a_conversation_is_read_oldest_turn_first_as_it_was_shown(
    gateway: Gateway, servers: Servers
) -> None:
    first = asked(gateway)
    known = {"conversation": first["conversation"]}
    servers.script = [call("similar_items", item="@1#2"), call("answer", text="Close.", items="@2")]
    second = asked(gateway, "more like the second", tastemaker=known)
    told = gateway.http.get(f"/v1/conversations/{first['conversation']}").json()
    assert told["conversation"] == first["conversation"]
    assert [turn["question"] for turn in told["turns"]] == ["pink vase", "more like the second"]
    assert [turn["items"] for turn in told["turns"]] == [first["items"], second["items"]]
    last = told["turns"][-1]
    assert last["answer"] == "Close."
    assert [step["tool"] for step in last["steps"]] == ["similar_items", "answer"]
    assert last["tokens"] == second["tokens"]
    assert (last["cents"], last["ms"]) == (second["cents"], second["ms"])
    assert last["status"] == "done"


def test_a_deleted_conversation_is_gone_with_its_turns(gateway: Gateway, servers: Servers) -> None:
    ours = asked(gateway)
    path = f"/v1/conversations/{ours['conversation']}"
    (turn,) = gateway.http.get(path).json()["turns"]
    assert gateway.http.delete(path).json() == {"id": ours["conversation"], "deleted": True}
    assert gateway.http.get(path).status_code == 404
    assert gateway.http.delete(path).status_code == 404
    assert gateway.http.get(f"/v1/responses/resp_{turn['id']}").status_code == 404
    servers.script = [call("similar_items", item="@1#2"), call("answer", text="Sorry.")]
    again = asked(gateway, "more", tastemaker={"conversation": ours["conversation"]})
    assert again["conversation"] != ours["conversation"]
    assert "forgotten" in again["notices"][0]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_conversation_is_its_users_alone(gateway: Gateway, method: str) -> None:
    ours = asked(gateway, user="ada")
    path = f"/v1/conversations/{ours['conversation']}"
    for wrong in (path, f"{path}?user=bob", f"{path}0?user=ada", path.upper() + "?user=ada"):
        assert gateway.http.request(method, wrong).status_code == 404
    assert gateway.http.request(method, f"{path}?user=ada").status_code == 200


@pytest.mark.parametrize(
    ("name", "said"),
    [("x" * 65, "at most 64"), ("a%00b", "cannot be printed"), ("a%E2%80%AEb", "be printed")],
)
def test_what_is_no_id_is_refused(gateway: Gateway, name: str, said: str) -> None:
    refused = gateway.http.get(f"/v1/conversations/{name}")
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert (error["param"], error["type"]) == ("conversation_id", "invalid_request_error")
    assert said in error["message"]
    nobody = gateway.http.get("/v1/conversations/a?user=")
    assert nobody.json()["error"]["param"] == "user"
