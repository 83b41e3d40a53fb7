import json

import pytest

from tastemaker.router.tools import TOOLS, fault


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("search_items", {"query": "red sofa", "category": "sofa", "max_price": 300}),
        ("search_items", {"query": "red sofa", "cheaper_than": "@2"}),
        ("similar_items", {"item": "@1#2", "query": "in blue"}),
        ("similar_items", {"item": "@1"}),
        ("similar_items", {"item": {"list": "@1", "ref": "red"}}),
        ("search_items", {"query": "x", "like": ["@1#2", "@2"], "unlike": ["@1#1"]}),
        ("recommend", {}),
        ("recommend", {"query": "lamp", "outcome": "click", "diversity": "high"}),
        ("complete_board", {"items": "@1"}),
        ("complete_board", {"items": "@1", "query": "a lamp"}),
        ("shop_room", {"item": "@1#1", "query": "the rug"}),
        ("board_get", {"title": "garden"}),
        ("board_save", {"title": "garden", "items": "@2"}),
        ("answer", {"text": "Hello!", "items": "@3"}),
    ],
)
def test_good_calls_pass(name: str, arguments: dict[str, object]) -> None:
    assert fault(name, arguments) == ""


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("buy", {}, "unknown tool 'buy'"),
        ("search_items", {}, "lacks 'query'"),
        ("search_items", {"query": "x", "max_price": "300"}, "max_price may not be '300'"),
        ("search_items", {"query": "x", "max_price": True}, "max_price may not be True"),
        ("search_items", {"query": "x", "limit": 3}, "takes no 'limit'"),
        ("similar_items", {"item": "second"}, "item may not be 'second'"),
        ("similar_items", {"item": {"list": "@1"}}, "item may not be"),
        ("search_items", {"query": "x", "like": "@1#2"}, "like may not be '@1#2'"),
        ("search_items", {"query": "x", "like": []}, "like may not be"),
        ("search_items", {"query": "x", "unlike": ["@1#2", "red"]}, "unlike may not be"),
        ("search_items", {"query": "x", "like": ["@1#2"] * 9}, "like may not be"),
        ("recommend", {"outcome": "hide"}, "outcome may not be 'hide'"),
        ("recommend", {"diversity": ["high"]}, "diversity may not be"),
        ("complete_board", {"query": "a lamp"}, "lacks 'items'"),
        ("complete_board", {"items": "@1#2"}, "items may not be '@1#2'"),
        ("shop_room", {}, "lacks 'item'"),
        ("board_get", {"title": 3}, "title may not be 3"),
        ("board_save", {"title": "garden"}, "lacks 'items'"),
        ("answer", {"text": "x", "items": "@1#2"}, "items may not be '@1#2'"),
    ],
)
def test_bad_calls_say_why(name: str, arguments: dict[str, object], why: str) -> None:
    assert why in fault(name, arguments)


def test_tools_are_openai_definitions() -> None:
    names = [tool["function"]["name"] for tool in TOOLS]
    assert names == [
        "search_items", "similar_items", "recommend", "complete_board", "shop_room",
        "board_get", "board_save", "answer",
    ]  # fmt: skip
    json.dumps(TOOLS)
