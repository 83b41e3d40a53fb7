"""The record schemas: items, boards and events. Every source gives these, real or simulated."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import pyarrow as pa

Split = Literal["train", "val", "test"]
Action = Literal["impression", "closeup", "save", "click", "hide"]
ACTIONS: tuple[str, ...] = get_args(Action)  # an action's code is its place here

ITEMS = pa.schema(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("image", pa.binary(), nullable=False),  # JPEG
        pa.field("title", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("attributes", pa.string(), nullable=False),  # a JSON object of strings
        pa.field("price", pa.float32()),  # in the catalogue's currency; null where unknown
        pa.field("split", pa.string(), nullable=False),
        pa.field("image_hash", pa.string(), nullable=False),  # perceptual, 64 bits, hex
    ]
)
BOARDS = pa.schema(
    [
        pa.field("board_id", pa.string(), nullable=False),
        pa.field("title", pa.string(), nullable=False),
        pa.field("theme", pa.string(), nullable=False),
        pa.field("items", pa.list_(pa.string()), nullable=False),  # ordered item ids
        pa.field("split", pa.string(), nullable=False),
    ]
)
EVENTS = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("session_id", pa.string(), nullable=False),
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("surface", pa.string(), nullable=False),  # feed, search, board, assistant
        pa.field("time", pa.timestamp("ms", tz="UTC"), nullable=False),
    ]
)
QUARANTINE = pa.schema(
    [
        pa.field("kind", pa.string(), nullable=False),  # item, board or event
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),  # a few fixed words
        pa.field("detail", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True)
class RawItem:
    """An item as a source gives it: nothing is checked yet; curation does that."""

    item_id: str
    image: bytes | None  # an encoded image file; None where the source has none
    title: str
    text: str = ""
    category: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    price: float | None = None
    split: Split | None = None  # None: curation draws one from the id
    fault: str = ""  # what the source found wrong with the row; curation sets it aside


@dataclass(frozen=True)
class RawBoard:
    """A board as a source gives it."""

    board_id: str
    title: str
    items: tuple[str, ...]
    theme: str = ""
    split: Split | None = None


@dataclass(frozen=True)
class RawEvent:
    """An event as a source gives it; `time_ms` is milliseconds since 1970, UTC."""

    user_id: str
    session_id: str
    item_id: str
    action: Action
    surface: str
    time_ms: int


@dataclass(frozen=True)
class RawCatalogue:
    """What a source adapter returns; `items` is read once, in a fixed order."""

    name: str
    items: Iterator[RawItem]
    num_items: int
    boards: tuple[RawBoard, ...] = ()
    events: tuple[RawEvent, ...] = ()
    keep_duplicates: bool = False  # a published benchmark whose protocol counts every item


def attributes(text: str) -> dict[str, str]:
    """Read an `attributes` cell."""
    return dict(json.loads(text))
