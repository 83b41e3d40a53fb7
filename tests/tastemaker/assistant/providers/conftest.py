"""Requests to ask, a ledger to write to, and members scripted or behind real HTTP."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.ledger import Ledger
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.providers.backend import Backend
from tastemaker.assistant.providers.policy import Policy
from tastemaker.assistant.providers.request import RouterRequest
from tastemaker.assistant.providers.settings import ProvidersConfig
from tastemaker.core.database import open_database
from tastemaker.router import messages as codec
from tastemaker.router.tools import TOOLS

TITLES = {"a": "red oak chair; chair; 40", "b": "blue lamp; lamp; 9.5"}


def called(name: str, **arguments: Any) -> dict[str, Any]:
    """An assistant message with one call."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": "c1", "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


SEARCHED = called("search_items", query="blue lamp")


def item_list(*item_ids: str | None) -> ItemList:
    return ItemList(item_ids, np.eye(len(item_ids), 8, dtype=np.float32))


def asked(
    *lists: ItemList, describe: Callable[[str], str] = TITLES.__getitem__, user_text: str = ""
) -> RouterRequest:
    """A request after one search a list; the user's vector is known."""
    messages = codec.system_message(np.ones(4, np.float32))
    for number, items in enumerate(lists, 1):
        messages += [
            codec.user_message(f"question {number}"),
            codec.assistant_message(f"c{number}", "search_items", {"query": "lamp"}),
            codec.tool_message(f"c{number}", number, items.vectors_ND),
        ]
    messages.append(codec.user_message("and a cheaper one"))
    return RouterRequest(messages, TOOLS, lists, describe, user_text)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(open_database(f"sqlite:///{tmp_path}/a.db"), Prices.read())


@pytest.fixture
def family(ledger: Ledger) -> Callable[..., Policy]:
    """A policy over back ends, with the given settings; `members` adds to those of each member."""

    def make(
        backends: list[Backend], members: dict[str, dict[str, Any]] | None = None, **settings: Any
    ) -> Policy:
        base = {"kind": "scripted", "script": (SEARCHED,), "price": "free", "timeout_s": 5}
        config = ProvidersConfig(
            members=[
                {**base, "name": one.name, **(members or {}).get(one.name, {})}  # type: ignore[misc]
                for one in backends
            ],
            **settings,
        )
        return Policy(backends, config, ledger)

    return make
