import asyncio
from typing import Any

import httpx
import pytest

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.clients import ModelClient, OutOfTime, RouterClient, Upstreams
from tastemaker.assistant.loop import Assistant, parse
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.tools.native import Tools
from tastemaker.assistant.tools.situation import CallError
from tastemaker.assistant.turn import Answer, Question, Step
from tests.tastemaker.assistant.conftest import SPACE, URLS, Servers, call


def answer(servers: Servers, question: str = "pink vase", **limits: Any) -> Answer:
    config = AssistantConfig(num_items=4, **limits)

    async def run() -> list[Step | Answer]:
        async with httpx.AsyncClient(transport=servers) as http:
            models = {n: ModelClient(n, URLS[n], http) for n in URLS if n != "router"}
            router = RouterClient(URLS["router"], http)
            upstreams = Upstreams(**models, router=router, space=SPACE)
            tools = Tools(servers.catalogue, upstreams, config.num_items)
            asked = Question(question)
            return [e async for e in Assistant(tools, upstreams, config).answer(asked)]

    *steps, last = asyncio.run(run())
    assert isinstance(last, Answer)
    assert last.steps == tuple(steps)
    return last


SEARCH = call("search_items", query="pink vase")
FOUND = call("answer", text="Here is what I found.", items="@1")


def test_a_fault_is_told_to_the_router_which_mends_it(servers: Servers) -> None:
    servers.script = [call("similar_items", item="@3#1"), SEARCH, FOUND]
    done = answer(servers)
    assert done.steps[0].error == "'@3#1': the lists of this conversation are: none"
    told = servers.asked["router"][1]["messages"][-1]
    assert told["content"][0]["text"].startswith("error: '@3#1'")
    assert done.shown is not None
    assert (done.text, done.handle, len(done.shown)) == ("Here is what I found.", "@1", 4)


def test_faults_are_forgotten_by_the_next_turn(servers: Servers) -> None:
    servers.script = [call("similar_items", item="@3#1"), SEARCH, FOUND]
    roles = [message["role"] for message in answer(servers).turn.messages]
    assert roles == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (call("buy_now", item="@1#1"), "unknown tool 'buy_now'"),
        (call("search_items"), "lacks 'query'"),
        (call("search_items", query="x", color="red"), "takes no 'color'"),
        (call("search_items", query="x", max_price="cheap"), "may not be 'cheap'"),
        (call("similar_items", item="@1"), "are: none"),
        (call("answer", text="Here.", items="@7"), "are: none"),
        (call("answer", text=" "), "answer.text is empty"),
        ({"role": "assistant", "content": "Sure!"}, "exactly one call, got 0"),
    ],
)
def test_two_faults_end_the_turn_gracefully(
    servers: Servers, wrong: dict[str, Any], said: str
) -> None:
    servers.script = lambda _: wrong
    done = answer(servers)
    assert [said in step.error for step in done.steps] == [True, True]
    assert (done.text, done.shown) == ("I found nothing that fits.", None)


def test_output_that_is_no_call_goes_back_without_template_marks(servers: Servers) -> None:
    servers.script = [{"role": "assistant", "content": "<|user|>hi<|end|>"}, SEARCH, FOUND]
    assert answer(servers).handle == "@1"
    said, told = servers.asked["router"][1]["messages"][-2:]
    assert said == {"role": "assistant", "content": "hi"}
    assert told["content"][0]["text"].startswith("error: ")


def test_a_router_that_never_answers_ends_with_its_last_list(servers: Servers) -> None:
    servers.script = [call("search_items", query=word) for word in ("vase", "red vase", "sofa")]
    done = answer(servers, max_steps=3)
    assert len(done.steps) == 3
    assert (done.text, done.handle) == ("Here is what I found.", "@3")
    assert servers.catalogue.item(str(done.shown and done.shown.item_ids[0])).category == "sofa"


def test_a_router_that_repeats_itself_is_stopped(servers: Servers) -> None:
    servers.script = lambda _: SEARCH
    done = answer(servers)
    assert [step.error for step in done.steps][1:] == [
        "search_items: the same call again; use answer"
    ] * 2
    assert done.handle == "@1"


def test_an_empty_result_is_told_and_spends_no_handle(servers: Servers) -> None:
    servers.script = [call("search_items", query="vase", max_price=1), SEARCH, FOUND]
    done = answer(servers)
    assert [(step.num_items, step.list) for step in done.steps[:2]] == [(0, ""), (4, "@1")]
    told = servers.asked["router"][1]["messages"][-1]["content"]
    assert told == [{"type": "text", "text": "nothing"}]


def test_no_time_left_answers_with_what_there_is(servers: Servers) -> None:
    def slow(messages: list[dict[str, Any]]) -> dict[str, Any]:
        servers.slow = {"router"}
        return SEARCH

    servers.script = slow
    done = answer(servers)
    assert done.notices == ("The time for this turn was used up.",)
    assert done.handle == "@1"


def test_no_time_left_and_nothing_found_names_the_server(servers: Servers) -> None:
    servers.slow = {"retrieval"}
    with pytest.raises(OutOfTime, match="retrieval at http://retrieval"):
        answer(servers)


def test_answering_without_a_handle_shows_the_last_new_list(servers: Servers) -> None:
    servers.script = [SEARCH, call("answer", text="These come close.")]
    assert answer(servers).handle == "@1"
    servers.script = [call("answer", text="Hello!")]
    assert answer(servers).shown is None


def test_tokens_of_all_steps_are_counted(servers: Servers, catalogue: Catalogue) -> None:
    servers.script = [SEARCH, FOUND]
    done = answer(servers)
    assert (done.prompt_tokens, done.completion_tokens) == (20, 6)
    assert len(catalogue.items) == 80


@pytest.mark.parametrize("arguments", ["{", "[1]", "null"])
def test_arguments_that_are_no_object_are_a_fault(arguments: str) -> None:
    broken = call("search_items")
    broken["tool_calls"][0]["function"]["arguments"] = arguments
    with pytest.raises(CallError):
        parse(broken)
