"""The tools that the router calls, as OpenAI tool definitions, and the check of a call.

`item` is `@1#2` (item 2 of list 1), `@1` (a whole list: its mean) or `{"list": "@1", "ref": "red"}`
(the item of the list that fits the words best; whoever executes the call finds it).
"""

import re
from typing import Any

SEARCH, SIMILAR, RECOMMEND, ANSWER = "search_items", "similar_items", "recommend", "answer"
COMPLETE, SHOP_ROOM = "complete_board", "shop_room"
BOARD_GET, BOARD_SAVE = "board_get", "board_save"
OUTCOMES, DIVERSITIES = ("save", "click", "closeup"), ("low", "high")

_LIST = {"type": "string", "pattern": "^@[1-9][0-9]?$"}
_ITEM = {
    "anyOf": [
        {"type": "string", "pattern": "^@[1-9][0-9]?(#[1-9][0-9]{0,2})?$"},
        {
            "type": "object",
            "properties": {"list": _LIST, "ref": {"type": "string"}},
            "required": ["list", "ref"],
            "additionalProperties": False,
        },
    ]
}
_ITEMS = {"type": "array", "items": _ITEM, "minItems": 1, "maxItems": 8}
_TEXT = {"type": "string"}
_OUTCOME = {"type": "string", "enum": [*OUTCOMES]}
_DIVERSITY = {"type": "string", "enum": [*DIVERSITIES]}


def _tool(name: str, does: str, properties: dict[str, Any], *required: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    function = {"name": name, "description": does, "parameters": parameters}
    return {"type": "function", "function": function}


TOOLS: list[dict[str, Any]] = [
    _tool(
        SEARCH,
        "Find items by words; category is lower case, cheaper_than a list to stay below, "
        "like and unlike are items to lean towards and away from.",
        {
            "query": _TEXT,
            "category": _TEXT,
            "max_price": {"type": "integer", "minimum": 0},
            "cheaper_than": _LIST,
            "like": _ITEMS,
            "unlike": _ITEMS,
        },
        "query",
    ),
    _tool(
        SIMILAR,
        "Find items like one item or a whole list, changed or narrowed by a few words.",
        {"item": _ITEM, "query": _TEXT},
        "item",
    ),
    _tool(
        RECOMMEND,
        "Find items for this user's taste; outcome is what they would do with them.",
        {"query": _TEXT, "outcome": _OUTCOME, "diversity": _DIVERSITY},
    ),
    _tool(
        COMPLETE,
        "Find items that belong with a list, a board for example.",
        {"items": _LIST, "query": _TEXT},
        "items",
    ),
    _tool(
        SHOP_ROOM,
        "Find items for what is in the user's own picture.",
        {"item": _ITEM, "query": _TEXT},
        "item",
    ),
    _tool(BOARD_GET, "Open one of the user's boards as a list.", {"title": _TEXT}, "title"),
    _tool(
        BOARD_SAVE,
        "Save a list as a board of the user's, a new one or an old one made longer.",
        {"title": _TEXT, "items": _LIST},
        "title",
        "items",
    ),
    _tool(
        ANSWER,
        "End the turn with a sentence, and the list to show.",
        {"text": _TEXT, "items": _LIST},
        "text",
    ),
]

_ARGUMENTS = {tool["function"]["name"]: tool["function"]["parameters"] for tool in TOOLS}


def fault(name: str, arguments: dict[str, Any]) -> str:
    """What is wrong with a call, "" when it follows its tool's schema."""
    if name not in _ARGUMENTS:
        return f"unknown tool {name!r}; the tools are: {', '.join(_ARGUMENTS)}"
    return _object_fault(_ARGUMENTS[name], arguments, name)


def _object_fault(schema: dict[str, Any], values: dict[str, Any], where: str) -> str:
    missing = [key for key in schema["required"] if key not in values]
    if missing:
        return f"{where} lacks {missing[0]!r}"
    for key, value in values.items():
        if key not in schema["properties"]:
            return f"{where} takes no {key!r}"
        if not _fits(schema["properties"][key], value):
            return f"{where}.{key} may not be {value!r}"
    return ""


def _fits(schema: dict[str, Any], value: Any) -> bool:
    if "anyOf" in schema:
        return any(_fits(choice, value) for choice in schema["anyOf"])
    if schema["type"] == "string":
        pattern, words = schema.get("pattern", ""), schema.get("enum")
        fits = isinstance(value, str) and re.search(pattern, value) is not None
        return fits and (words is None or value in words)
    if schema["type"] == "integer":
        whole = isinstance(value, int) and not isinstance(value, bool)
        return whole and value >= schema.get("minimum", value)
    if schema["type"] == "array":
        fits = isinstance(value, list) and schema["minItems"] <= len(value) <= schema["maxItems"]
        return fits and all(_fits(schema["items"], entry) for entry in value)
    return isinstance(value, dict) and not _object_fault(schema, value, "item")
