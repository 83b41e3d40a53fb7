"""The comparison by hand, and on requests that a third party would get."""

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from tastemaker.assistant import cost_report
from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.cost_report import OwnRun, Tokens
from tastemaker.assistant.http_client import Pool
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.providers.openai_compatible import OpenAICompatible
from tastemaker.assistant.providers.request import RouterRequest
from tastemaker.router import messages as codec
from tastemaker.router.tools import TOOLS

MACHINE = "cloud-2vcpu"


def a_run(**changed: Any) -> OwnRun:
    values: dict[str, Any] = {
        "turns": 100,
        "calls": 200,
        "router_core_s": 10.0,
        "tools": {"encoder": (100, 1.5), "retrieval": (100, 0.5)},
        "wall_s": 10.0,
        "cores": 2,
        "prompt_tokens": 20_000,
        "completion_tokens": 2_000,
        "latency_ms": (80.0, 200.0),
        "concurrency": 8,
        "exact_tool_calls": 0.95,
        "exact_calls": 0.97,
    }
    return OwnRun(**{**values, **changed})


def test_our_cost_by_hand() -> None:
    prices = Prices.read()
    machine = prices.listed.machines[MACHINE]
    busy = 10 / (10 * 2) * cost_report.LOAD_FRAC  # half of two cores, half of the day
    machine_s = (10 + 1.5 + 0.5) / (2 * busy)
    expected = machine_s * machine.hourly / 3600 / 100 * 1000
    assert cost_report.own_dollars(a_run(), prices, MACHINE) == pytest.approx(expected)


def test_their_cost_and_the_ratio_by_hand() -> None:
    prices = Prices.read()
    tokens = [Tokens(2000, 40, 1500)] * 200
    ours, theirs = cost_report.compare(a_run(), tokens, prices, MACHINE)
    found = {(price.name, price.cached): price for price in theirs}
    luna = (500 * 0.10 + 1500 * 0.01 + 40 * 0.50) / 1e6 * 2 * 1000  # two requests a turn
    assert found["gpt-6-luna", True].dollars == pytest.approx(luna)
    assert found["gpt-6-luna", True].ratio == pytest.approx(ours / luna)
    assert [price.dollars for price in theirs] == sorted(price.dollars for price in theirs)


def test_a_whole_machine_pays_from_so_many_turns() -> None:
    prices = Prices.read()
    monthly = prices.listed.machines[MACHINE].hourly * 730
    turns = cost_report.break_even_turns(0.10, prices, MACHINE)
    assert turns / 1000 * 0.10 == pytest.approx(monthly)


def test_a_conversations_earlier_request_is_cached_and_rules_are_shared() -> None:
    items = ItemList(("a",) * 10, np.eye(10, 4, dtype=np.float32))
    first = [codec.user_message("blue lamps")]
    found = [
        *first,
        codec.assistant_message("c", "search_items", {"query": "blue lamps"}),
        codec.tool_message("c", 1, items.vectors_ND),
    ]

    def describe(_: str) -> str:
        return "a round blue lamp of glass; lamp; 40"

    requests = [RouterRequest(m, TOOLS, (items,), describe) for m in (first, found, first)]
    replies = [codec.assistant_message("c", "answer", {"text": "Here."})] * 3
    client = OpenAICompatible("https://nobody", Pool(), model="m", name="m")
    tokens = cost_report.third_party_tokens(requests, replies, [False, True, False], client)
    assert tokens[1].cached == tokens[0].prompt
    assert tokens[0].cached == tokens[2].cached
    assert cost_report.MIN_CACHED_TOKENS <= tokens[0].cached < tokens[0].prompt
    assert tokens[1].prompt - tokens[0].prompt > 10 * len(describe("")) / 4
    assert all(t.completion > 10 for t in tokens)


def test_the_report_names_its_assumptions() -> None:
    out = io.StringIO()
    tokens = [Tokens(2000, 40, 1500)] * 200
    cost_report.show(a_run(), tokens, Prices.read(), MACHINE, Console(file=out, width=160))
    said = " ".join(out.getvalue().split())
    for words in (
        "characters / 4",
        "Their quality: taken as 1",
        "of the paid core time does work",
        "Neither side includes the gateway",
        "0.950 measured",
        "turns a month",
        "claude-haiku-5-5 2026-10-24",
    ):
        assert words in said, words
