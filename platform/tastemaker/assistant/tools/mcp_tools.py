"""The native tools as MCP clients see them: items are named by their ids, pictures are sent along.

Inside, a call points into the lists of a conversation. A client that has none names items, and
each name becomes a list of its own here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from mcp.types import CallToolResult, TextContent, Tool, ToolAnnotations

from tastemaker.assistant.boards import MAX_ITEMS
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.tools.situation import CallError, ToolResult
from tastemaker.router.messages import clean_text

MAX_IMAGE_CHARS = 12 << 20  # of base64
_SHOWN_IN_TEXT = 10

_WORDS = {"type": "string", "minLength": 1, "maxLength": 300}
_ID = {"type": "string", "minLength": 1, "maxLength": 512, "description": "An item's id."}
_IMAGE = {
    "type": "string",
    "maxLength": MAX_IMAGE_CHARS,
    "description": "A picture: base64 of a JPEG, PNG, WebP, GIF or BMP file.",
}
_USER = {
    "type": "string",
    "minLength": 1,
    "maxLength": 256,
    "description": "Whose taste or boards are meant; left out: the caller's own.",
}
_OUTPUT = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "id": {"type": "string"},
                    "title": {"type": "string"},
                    "price": {"type": ["number", "null"]},
                    "category": {"type": "string"},
                    "image_url": {"type": "string"},
                    "score": {"type": ["number", "null"]},
                },
                "required": ["id", "title", "price", "category", "image_url"],
            },
        },
        "board": {"type": "string", "description": "Title of the board that the items are."},
        "notices": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["items", "notices"],
}


def _ids(most: int) -> dict[str, Any]:
    return {"type": "array", "items": _ID, "minItems": 1, "maxItems": most}


def _tool(name: str, does: str, properties: dict[str, Any], *required: str, writes: bool) -> Tool:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }
    about = ToolAnnotations(
        read_only_hint=not writes, destructive_hint=False, open_world_hint=False
    )
    return Tool(
        name=name, description=does, input_schema=schema, output_schema=_OUTPUT, annotations=about
    )


TOOLS = [
    _tool(
        "search_items",
        "Find items of the catalogue by words, by items to lean towards and away from, or both.",
        {
            "query": _WORDS,
            "category": _WORDS,
            "max_price": {"type": "number", "minimum": 0},
            "like": _ids(8),
            "unlike": _ids(8),
        },
        writes=False,
    ),
    _tool(
        "similar_items",
        "Find items that look like an item or a picture, changed or narrowed by a few words.",
        {"item": _ID, "image": _IMAGE, "query": _WORDS},
        writes=False,
    ),
    _tool(
        "recommend",
        "Find items for a user's taste; outcome is what the user would do with them.",
        {
            "query": _WORDS,
            "outcome": {"type": "string", "enum": ["save", "click", "closeup"]},
            "diversity": {"type": "string", "enum": ["low", "high"]},
            "user": _USER,
        },
        writes=False,
    ),
    _tool(
        "complete_board",
        "Find items that belong with given ones.",
        {"items": _ids(MAX_ITEMS), "query": _WORDS},
        "items",
        writes=False,
    ),
    _tool(
        "shop_room",
        "Find items for each thing in a photo of a room.",
        {"image": _IMAGE, "item": _ID, "query": _WORDS},
        writes=False,
    ),
    _tool(
        "board_get",
        "Open a user's board by its title, or by words like it.",
        {"title": _WORDS, "user": _USER},
        "title",
        writes=False,
    ),
    _tool(
        "board_save",
        "Save items as a user's board: a new one, or one of that title made longer.",
        {"title": _WORDS, "items": _ids(MAX_ITEMS), "user": _USER},
        "title",
        "items",
        writes=True,
    ),
]
_CHECKS = {tool.name: Draft202012Validator(tool.input_schema) for tool in TOOLS}


@dataclass(frozen=True)
class Meant:
    """A call as the native tools take it.

    Attributes:
        arguments: With handles into `lists`.
        lists: What the handles stand for.
        user: The user that the call names, None for none.
        image: A picture whose vector is still to be filled into the first list; empty for none.
    """

    arguments: Mapping[str, Any]
    lists: tuple[ItemList, ...]
    user: str | None
    image: str = ""


def read_call(name: str, arguments: Mapping[str, Any], catalogue: Catalogue) -> Meant:
    """Check a client's call and turn its item ids into lists.

    Raises:
        CallError: Unknown tool or item, or arguments that do not follow the schema.
    """
    if name not in _CHECKS:
        raise CallError(f"unknown tool {name[:60]!r}; the tools are: {', '.join(_CHECKS)}")
    fault = next(iter(_CHECKS[name].iter_errors(dict(arguments))), None)
    if fault is not None:
        where = ".".join([name, *(str(part) for part in fault.absolute_path)])
        raise CallError(f"{where}: {fault.message[:200]}")
    given = dict(arguments)
    user, image = given.pop("user", None), given.pop("image", "")
    lists: list[ItemList] = []
    if name in ("similar_items", "shop_room"):
        if bool(image) == ("item" in given):
            raise CallError(f"{name}: give either an item or an image")
        if image:
            nothing = np.zeros((1, catalogue.vectors_ND.shape[1]), np.float32)
            lists.append(ItemList((None,), nothing, images=(image,)))
            given["item"] = "@1#1"
        else:
            given["item"] = _refer([given["item"]], lists, catalogue) + "#1"
    elif "items" in given:
        given["items"] = _refer(given["items"], lists, catalogue)
    for key in ("like", "unlike"):
        if key in given:
            given[key] = [f"{_refer([one], lists, catalogue)}#1" for one in given[key]]
    return Meant(given, tuple(lists), user, image)


def written(
    result: ToolResult, notices: list[str], catalogue: Catalogue, base_url: str
) -> CallToolResult:
    """A result as a client gets it: structured items, and the same in short text.

    Args:
        result: Of a native tool.
        notices: What the user should be told.
        catalogue: What is shown of an item.
        base_url: Of the gateway, with its last slash; pictures lie below it.
    """
    ids = result.items.item_ids if result.items is not None else ()
    scores = (result.items.scores if result.items is not None else ()) or (None,) * len(ids)
    rows = [
        {
            "id": item.item_id,
            "title": item.title,
            "price": item.price,
            "category": item.category,
            "image_url": f"{base_url.rstrip('/')}{item.image_url}",
            "score": None if score is None else round(score, 4),
        }
        for item, score in (
            (catalogue.item(item_id), score)
            for item_id, score in zip(ids, scores, strict=True)
            if item_id is not None
        )
    ]
    structured: dict[str, Any] = {"items": rows, "notices": list(dict.fromkeys(notices))}
    if result.title:
        structured["board"] = result.title
    text = "\n".join([*_lines(rows, result), *structured["notices"]])
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=structured
    )


def failed(message: str) -> CallToolResult:
    """A call that could not be carried out, with the reason that the client can act on."""
    return CallToolResult(content=[TextContent(type="text", text=message)], is_error=True)


def _refer(item_ids: list[str], lists: list[ItemList], catalogue: Catalogue) -> str:
    missing = next((item_id for item_id in item_ids if item_id not in catalogue.place), None)
    if missing is not None:
        raise CallError(f"no item {missing[:100]!r} in the catalogue")
    lists.append(ItemList(tuple(item_ids), catalogue.vectors(item_ids)))
    return f"@{len(lists)}"


def _lines(rows: list[dict[str, Any]], result: ToolResult) -> list[str]:
    if result.text:
        return [result.text]
    if not rows:
        return ["Nothing fits."]
    lines = [f"{len(rows)} items:"]
    for row in rows[:_SHOWN_IN_TEXT]:
        price = "" if row["price"] is None else f", {row['price']:g}"
        lines.append(f"- {clean_text(row['title'])} ({row['id']}{price})")
    return lines
