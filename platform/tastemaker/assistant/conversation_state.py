"""A turn's state as text: what is stored so that the next turn can go on from it."""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic_core import from_json, to_json

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation import ItemList, Turn


def write_turn(turn: Turn) -> str:
    """JSON of a turn; vectors of catalogue items are left out."""
    state = {
        "question": turn.question,
        "messages": list(turn.messages),
        "lists": [_write_list(items) for items in turn.lists],
        "shown": turn.shown,
        "liked": turn.liked,
    }
    return to_json(state).decode()


def read_turn(turn_id: str, text: str, catalogue: Catalogue) -> Turn:
    """Read `write_turn` back.

    Args:
        turn_id: Of the turn's record.
        text: What was written.
        catalogue: Gives the vectors; an item that it lost since keeps its place in the list,
            with a vector of zeros that nothing is similar to.
    """
    state = from_json(text)
    return Turn(
        question=state["question"],
        messages=tuple(state["messages"]),
        lists=tuple(_read_list(one, catalogue) for one in state["lists"]),
        shown=state["shown"],
        liked=state["liked"],
        turn_id=turn_id,
    )


def _write_list(items: ItemList) -> dict[str, Any]:
    rows = zip(items.vectors_ND, items.item_ids, strict=True)
    own = [row for row, item_id in rows if item_id is None]
    raw = np.stack(own).astype("<f4").tobytes() if own else b""
    return {
        "ids": list(items.item_ids),
        "scores": list(items.scores),
        "own": base64.b64encode(raw).decode(),
        "images": list(items.images),
    }


def _read_list(stored: Mapping[str, Any], catalogue: Catalogue) -> ItemList:
    ids = [i if i is None or i in catalogue.place else "" for i in stored["ids"]]
    width = catalogue.vectors_ND.shape[1]
    vectors_ND = np.zeros((len(ids), width), np.float32)
    known = [row for row, item_id in enumerate(ids) if item_id]
    vectors_ND[known] = catalogue.vectors([ids[row] or "" for row in known])
    own = [row for row, item_id in enumerate(ids) if item_id is None]
    vectors_ND[own] = np.frombuffer(base64.b64decode(stored["own"]), "<f4").reshape(-1, width)
    return ItemList(
        tuple(item_id or None for item_id in ids),
        vectors_ND,
        tuple(stored["scores"]),
        tuple(stored["images"]),
    )
