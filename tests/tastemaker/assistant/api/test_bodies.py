"""What the API says of its answers is what it answers."""

from typing import Any

import pytest

from tastemaker.assistant.api.bodies import ChatCompletion, ResponseBody
from tests.tastemaker.assistant.conftest import Gateway


@pytest.fixture
def described(gateway: Gateway) -> dict[str, Any]:
    return gateway.http.get("/openapi.json").json()["paths"]


def test_the_description_names_the_bodies(described: dict[str, Any]) -> None:
    for path, method, name in (
        ("/v1/chat/completions", "post", "ChatCompletion"),
        ("/v1/responses", "post", "ResponseBody"),
        ("/v1/responses/{response_id}", "get", "ResponseBody"),
    ):
        content = described[path][method]["responses"]["200"]["content"]
        assert content["application/json"]["schema"] == {"$ref": f"#/components/schemas/{name}"}
        assert ("text/event-stream" in content) == (method == "post")


def test_answers_have_these_bodies(gateway: Gateway) -> None:
    chat = gateway.ask("pink vase", user="ada").json()
    assert ChatCompletion.model_validate(chat, strict=True).tastemaker.items
    response = gateway.http.post("/v1/responses", json={"input": "pink vase"}).json()
    told = ResponseBody.model_validate(response, strict=True)
    assert [item.type for item in told.output] == ["mcp_call", "mcp_call", "message"]
    again = gateway.http.get(f"/v1/responses/{told.id}").json()
    assert ResponseBody.model_validate(again, strict=True) == told
