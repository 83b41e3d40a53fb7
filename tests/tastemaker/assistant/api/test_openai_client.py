"""The official OpenAI client on the real app, behind a real port; the client is not patched.

What it parses is checked again by its own models, strictly: no field that it needs is missing and
none has another type than it documents.
"""

import base64
import io
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types import Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from PIL import Image
from pydantic import BaseModel, TypeAdapter

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.gateway import build_app
from tastemaker.assistant.identity import IdentityConfig
from tastemaker.assistant.keys import KeyStore
from tastemaker.core.database import open_database
from tastemaker.core.home import Home
from tests.tastemaker.assistant.conftest import CONFIG, URLS, Servers, call, serving
from tests.tastemaker.assistant.wires import Wired

EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
ASKED: list[Any] = [{"role": "user", "content": "pink vase"}]


def picture() -> str:
    out = io.BytesIO()
    Image.new("RGB", (32, 32), "blue").save(out, "JPEG")
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def strict(kind: type[BaseModel], found: BaseModel) -> dict[str, Any]:
    """The object as it came, after the client's own model has read it without help."""
    raw = found.to_dict(mode="json")  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kind.model_validate(raw, strict=False)
        found.model_dump(warnings="error")  # a union member that does not fit is an error
    return dict(raw)


@pytest.fixture
def client(served: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served}/v1", api_key="none", max_retries=0) as found:
        yield found


def test_models(client: OpenAI) -> None:
    (model,) = client.models.list().data
    assert strict(Model, model)["id"] == "tastemaker"


def test_chat(client: OpenAI) -> None:
    reply = client.chat.completions.create(
        model="tastemaker",
        messages=[{"role": "system", "content": "Be brief."}, *ASKED],
        user="ada",
        temperature=0.2,
        max_completion_tokens=50,
        extra_body={"tastemaker": {"outcome": "save"}},
    )
    raw = strict(ChatCompletion, reply)
    assert reply.choices[0].message.content == "Here is what I found."
    assert reply.choices[0].finish_reason == "stop"
    assert reply.usage is not None
    assert reply.usage.total_tokens == 13
    assert raw["tastemaker"]["steps"][0]["tool"] == "recommend"
    assert "System messages are not used." in raw["tastemaker"]["notices"]


def test_a_chat_goes_on_by_its_conversation(client: OpenAI, servers: Servers) -> None:
    first = client.chat.completions.create(model="tastemaker", messages=ASKED)
    ours = first.to_dict()["tastemaker"]
    servers.script = [call("similar_items", item="@1#2"), call("answer", text="Close.", items="@2")]
    second = client.chat.completions.create(
        model="tastemaker",
        messages=[
            *ASKED,
            first.choices[0].message.to_dict(),  # type: ignore[list-item]
            {"role": "user", "content": "more like the second one"},
        ],
        extra_body={"tastemaker": {"conversation": ours["conversation"]}},  # type: ignore[index]
    )
    assert second.choices[0].message.content == "Close."
    assert second.to_dict()["tastemaker"]["items"][0]["ref"] == "@2#1"  # type: ignore[index]


def test_chat_in_a_stream(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="tastemaker",
            messages=ASKED,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    raw = [strict(ChatCompletionChunk, chunk) for chunk in chunks]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "Here is what I found."
    assert len({chunk.id for chunk in chunks}) == 1
    assert len({chunk.created for chunk in chunks}) == 1
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage is not None
    steps = [one["tastemaker"]["step"] for one in raw if "step" in one.get("tastemaker", {})]
    assert [step["tool"] for step in steps] == ["search_items", "answer"]
    assert len(raw[-1]["tastemaker"]["items"]) == 6


def test_the_clients_own_accumulator_reads_the_stream(client: OpenAI) -> None:
    with client.chat.completions.stream(model="tastemaker", messages=ASKED) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert kinds[-1] == "content.done"
    assert final.choices[0].message.content == "Here is what I found."


def test_chat_with_a_picture(client: OpenAI, servers: Servers) -> None:
    content: Any = [
        {"type": "text", "text": "like this"},
        {"type": "image_url", "image_url": {"url": picture(), "detail": "low"}},
    ]
    servers.script = [
        call("similar_items", item="@1#1"),
        call("answer", text="Like it.", items="@2"),
    ]
    reply = client.chat.completions.create(
        model="tastemaker", messages=[{"role": "user", "content": content}]
    )
    assert reply.to_dict()["tastemaker"]["items"]  # type: ignore[index]


def test_a_response_is_made_followed_read_and_deleted(client: OpenAI, servers: Servers) -> None:
    first = client.responses.create(model="tastemaker", input="pink vase", user="ada")
    raw = strict(Response, first)
    assert first.output_text == "Here is what I found."
    assert [item.type for item in first.output] == ["mcp_call", "mcp_call", "message"]
    assert first.usage is not None
    assert first.usage.total_tokens == 26
    servers.script = [call("similar_items", item="@1#2"), call("answer", text="Close.", items="@2")]
    second = client.responses.create(
        model="tastemaker",
        input="more like the second one",
        user="ada",
        previous_response_id=first.id,
        instructions="Be brief.",
    )
    assert second.previous_response_id == first.id
    assert second.output_text == "Close."
    assert second.conversation == first.conversation
    read = client.responses.retrieve(second.id, extra_query={"user": "ada"})
    assert strict(Response, read)["output"] == strict(Response, second)["output"]
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(second.id)  # nobody's, not ada's
    client.responses.delete(first.id, extra_query={"user": "ada"})
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id, extra_query={"user": "ada"})
    assert raw["tastemaker"]["items"]


def test_a_response_in_a_conversation(client: OpenAI, servers: Servers) -> None:
    first = client.responses.create(model="tastemaker", input="pink vase")
    assert first.conversation is not None
    servers.script = [call("similar_items", item="@1#1"), call("answer", text="Close.", items="@2")]
    second = client.responses.create(
        model="tastemaker",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "like the first"}]}],
        conversation=first.conversation.id,
    )
    assert second.conversation == first.conversation
    assert second.output_text == "Close."


def test_a_response_to_a_picture(client: OpenAI, servers: Servers) -> None:
    servers.script = [
        call("similar_items", item="@1#1"),
        call("answer", text="Like it.", items="@2"),
    ]
    content: Any = [
        {"type": "input_text", "text": "like this"},
        {"type": "input_image", "image_url": picture(), "detail": "auto"},
    ]
    reply = client.responses.create(
        model="tastemaker", input=[{"role": "user", "content": content, "type": "message"}]
    )
    assert reply.output_text == "Like it."


def test_a_response_in_a_stream(client: OpenAI) -> None:
    events = list(client.responses.create(model="tastemaker", input="pink vase", stream=True))
    for event in events:
        EVENT.validate_python(event.to_dict(mode="json"))
        event.model_dump(warnings="error")
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds[-1] == "response.completed"
    first, last = events[0], events[-1]
    assert first.type == "response.created"
    assert last.type == "response.completed"
    assert first.response.id == last.response.id
    assert client.responses.retrieve(last.response.id).output == last.response.output
    done = [event.item for event in events if event.type == "response.output_item.done"]
    assert done == last.response.output
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == last.response.output_text == "Here is what I found."


def test_the_clients_own_accumulator_reads_a_responses_stream(client: OpenAI) -> None:
    with client.responses.stream(model="tastemaker", input="pink vase") as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text == "Here is what I found."


def test_what_is_wrong_is_the_clients_own_error(client: OpenAI) -> None:
    create = client.chat.completions.create
    with pytest.raises(openai.BadRequestError) as wrong:
        create(model="tastemaker", messages=ASKED, n=2)
    assert wrong.value.param == "n"
    assert wrong.value.type == "invalid_request_error"
    with pytest.raises(openai.BadRequestError):
        create(model="tastemaker", messages=ASKED, stream=True, extra_body={"tastemaker": {"x": 1}})
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="tastemaker", input="")
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="tastemaker", input="x", previous_response_id="resp_none")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_none")


def test_a_retry_with_its_key_is_the_same_answer(client: OpenAI) -> None:
    key = {"Idempotency-Key": "k-1"}
    create = client.chat.completions.create
    first = create(model="tastemaker", messages=ASKED, extra_headers=key)
    assert create(model="tastemaker", messages=ASKED, extra_headers=key) == first
    with pytest.raises(openai.ConflictError):
        create(
            model="tastemaker",
            messages=[{"role": "user", "content": "red vase"}],
            extra_headers=key,
        )
    again = client.responses.create(
        model="tastemaker", input="pink vase", extra_headers={"Idempotency-Key": "k-2"}
    )
    replayed = client.responses.create(
        model="tastemaker",
        input="pink vase",
        stream=False,
        extra_headers={"Idempotency-Key": "k-2"},
    )
    assert replayed == again


def test_a_client_that_does_not_wait(client: OpenAI, servers: Servers) -> None:
    def slow(messages: list[dict[str, Any]]) -> dict[str, Any]:
        time.sleep(0.5)
        return call("answer", text="Late.")

    servers.script = slow
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.1).chat.completions.create(model="t", messages=ASKED)


def test_keys_and_limits(tmp_path: Path, catalogue: Catalogue, servers: Servers) -> None:
    config = CONFIG.model_copy(update={"identity": IdentityConfig(auth="keys")})
    home = Home(tmp_path)
    keys = KeyStore(open_database(home.database()))
    key, _ = keys.create("web", user_id="ada", requests_per_minute=2, cents_per_day=100)
    with serving(build_app(home, catalogue, URLS, config, http=Wired(servers))) as url:
        wrong = OpenAI(base_url=f"{url}/v1", api_key="sk-wrong", max_retries=0)
        with wrong, pytest.raises(openai.AuthenticationError):
            wrong.responses.create(model="tastemaker", input="pink vase")
        with OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as right:
            right.chat.completions.create(model="tastemaker", messages=ASKED)
            with pytest.raises(openai.PermissionDeniedError):
                right.chat.completions.create(model="tastemaker", messages=ASKED, user="bob")
            with pytest.raises(openai.RateLimitError) as many:
                right.chat.completions.create(model="tastemaker", messages=ASKED)
            assert int(many.value.response.headers["retry-after"]) >= 1
