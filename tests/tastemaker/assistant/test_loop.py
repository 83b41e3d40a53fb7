import asyncio
from contextlib import aclosing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tastemaker.assistant.calls import parse
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.clients import ModelClient, Upstreams
from tastemaker.assistant.ledger import Ledger
from tastemaker.assistant.loop import Assistant
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.providers.members import build_policy
from tastemaker.assistant.providers.settings import MemberConfig, ProvidersConfig
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.taste import Taste
from tastemaker.assistant.tools.native import Tools
from tastemaker.assistant.tools.registry import Registry, RegistryConfig
from tastemaker.assistant.tools.situation import CallError
from tastemaker.assistant.tracing import Tracing
from tastemaker.assistant.turn import Answer, Question, Step
from tastemaker.core.database import open_database
from tests.tastemaker.assistant.conftest import SPACE, URLS, Servers, call
from tests.tastemaker.assistant.wires import Wired


def answer(servers: Servers, question: str | Question = "pink vase", **limits: Any) -> Answer:
    config = AssistantConfig(num_items=4, **limits)

    async def run(folder: str) -> list[Step | Answer]:
        tracing = Tracing(Path(folder))
        engine = open_database(f"sqlite:///{folder}/a.db")
        async with aclosing(Wired(servers)) as http:
            models = {n: ModelClient(n, URLS[n], http) for n in URLS if n != "router"}
            upstreams = Upstreams(**models, space=SPACE)
            ledger = Ledger(engine, Prices.read())
            own = MemberConfig(name="router", url=URLS["router"])
            policy = build_policy(ProvidersConfig(members=(own,)), http, ledger)
            tools = Tools(servers.catalogue, upstreams, config.num_items)
            registry = Registry(engine, servers.catalogue, RegistryConfig())
            assistant = Assistant(
                tools, registry, upstreams, policy, config, Taste(""), ledger.prices
            )
            asked = Question(question) if isinstance(question, str) else question
            found = [e async for e in assistant.answer(asked, tracing.turn())]
        tracing.close()
        engine.dispose()
        return found

    with TemporaryDirectory() as folder:
        *steps, last = asyncio.run(run(folder))
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
        ({"role": "assistant", "content": "Sure!"}, "a call, got none"),
    ],
)
def test_two_faults_end_the_turn_gracefully(
    servers: Servers, wrong: dict[str, Any], said: str
) -> None:
    servers.script = lambda _: wrong
    done = answer(servers)
    assert [said in step.error for step in done.steps] == [True, True]
    assert done.shown is not None, "what the words themselves find"
    assert servers.catalogue.item(str(done.shown.item_ids[0])).category == "vase"
    assert (done.text, done.degraded) == ("These come close.", False)
    assert done.notices == ("The assistant cannot plan right now: these items match your words.",)


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
    assert "cannot plan right now" in done.notices[0]
    assert (done.handle, done.degraded) == ("@1", True)


@pytest.mark.parametrize("service", ["retrieval", "encoder"])
@pytest.mark.parametrize("how", ["down", "slow"])
def test_a_search_that_is_gone_shows_items_that_hold_the_words(
    servers: Servers, service: str, how: str
) -> None:
    setattr(servers, how, {service})
    servers.script = lambda _: SEARCH
    done = answer(servers)
    assert done.degraded
    assert "search_items is not available right now." in done.notices
    assert done.shown is not None
    kinds = {servers.catalogue.item(str(item)).category for item in done.shown.item_ids}
    assert kinds & {"vase"}
    assert done.text == "These come close."


def test_a_router_that_is_gone_still_searches(servers: Servers) -> None:
    servers.down = {"router"}
    done = answer(servers)
    assert done.degraded
    assert done.steps == ()
    assert done.shown is not None
    assert servers.catalogue.item(str(done.shown.item_ids[0])).category == "vase"
    assert servers.asked["retrieval"]


def test_several_calls_at_once_are_carried_out_together(servers: Servers) -> None:
    both = call("search_items", query="pink vase")
    both["tool_calls"] += call("search_items", query="red sofa")["tool_calls"]
    servers.script = [both, call("answer", text="Both.", items="@2")]
    done = answer(servers)
    assert [(step.list, step.prompt_tokens) for step in done.steps[:2]] == [("@1", 10), ("@2", 0)]
    assert servers.catalogue.item(str(done.shown and done.shown.item_ids[0])).category == "sofa"
    roles = [message["role"] for message in servers.asked["router"][1]["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "tool"]


def test_more_calls_at_once_than_allowed_are_a_fault(servers: Servers) -> None:
    many = call("search_items", query="vase")
    for word in ("sofa", "lamp", *["vase"] * 50):
        many["tool_calls"] += call("search_items", query=word)["tool_calls"]
    servers.script = [many, call("answer", text="Some.", items="@1")]
    done = answer(servers, max_parallel=2)
    assert [step.error for step in done.steps] == ["", "", "at most 2 calls at once", ""]


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"max_turn_tokens": 100}, "100 tokens"),
        ({"max_turn_cents": 1e-9}, "1e-09 cents"),
        ({"max_steps": 2}, "2 steps"),
    ],
)
def test_a_budget_that_is_used_up_ends_the_turn_with_what_there_is(
    servers: Servers, limits: dict[str, Any], why: str
) -> None:
    words = iter(f"vase {number}" for number in range(100))
    servers.script = lambda _: call("search_items", query=next(words))
    done = answer(servers, **{"max_steps": 20, **limits})
    assert done.notices == (f"This turn's budget of {why} was used up.",)
    assert done.shown is not None


def test_what_the_caller_may_still_spend_bounds_the_turn(servers: Servers) -> None:
    servers.script = lambda _: SEARCH
    done = answer(servers, Question("pink vase", max_cents=0.0))
    assert "0 cents" in done.notices[0]
    assert "router" not in servers.asked


def test_answering_without_a_handle_shows_the_last_new_list(servers: Servers) -> None:
    servers.script = [SEARCH, call("answer", text="These come close.")]
    assert answer(servers).handle == "@1"
    servers.script = [call("answer", text="Hello!")]
    assert answer(servers).shown is None


def test_tokens_of_all_steps_are_counted(servers: Servers, catalogue: Catalogue) -> None:
    servers.script = [SEARCH, FOUND]
    done = answer(servers)
    assert sum(step.prompt_tokens for step in done.steps) == 20
    assert sum(step.completion_tokens for step in done.steps) == 6
    assert len(catalogue.items) == 80


@pytest.mark.parametrize("arguments", ["{", "[1]", "null"])
def test_arguments_that_are_no_object_are_a_fault(arguments: str) -> None:
    broken = call("search_items")
    broken["tool_calls"][0]["function"]["arguments"] = arguments
    with pytest.raises(CallError):
        parse(broken, max_calls=4)
