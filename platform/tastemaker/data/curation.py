"""Curation: verified, deduplicated tables from a source; what is set aside keeps its reason."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
from pydantic import Field

from tastemaker.core import digests
from tastemaker.core.config import Config
from tastemaker.core.errors import DataError
from tastemaker.core.progress import track
from tastemaker.data.demo_catalogue import DemoConfig
from tastemaker.data.duplicates import exact_duplicates, near_duplicates
from tastemaker.data.pictures import BadPicture, Picture, verify
from tastemaker.data.records import (
    ACTIONS,
    BOARDS,
    EVENTS,
    ITEMS,
    QUARANTINE,
    RawBoard,
    RawCatalogue,
    RawEvent,
    RawItem,
)
from tastemaker.data.themed_boards import themed_boards

_CHUNK = 256  # items decoded at a time
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class CurateConfig(Config):
    """What curation accepts and how it stores it."""

    image_px: int = Field(default=128, ge=32, le=1024)  # longest side stored
    min_side_px: int = Field(default=16, ge=1)
    near_duplicate_bits: int = Field(default=6, ge=0, le=32)  # of 64 that may differ
    title_overlap_frac: float = Field(default=0.8, gt=0, le=1)
    val_frac: float = Field(default=0.08, ge=0, lt=0.5)  # where the source gives no split
    test_frac: float = Field(default=0.12, ge=0, lt=0.5)
    themed_boards: int = Field(default=240, ge=0)  # made only where the source has no boards
    demo: DemoConfig = DemoConfig()  # of the demo catalogue; others ignore it


@dataclass(frozen=True)
class Curated:
    """Curation's result; `events` is None where the source has none."""

    items: pa.Table
    boards: pa.Table
    events: pa.Table | None
    quarantine: pa.Table
    notes: dict[str, Any]


@dataclass
class _Aside:
    """Rows set aside, with reasons."""

    rows: list[dict[str, str]]

    def put(self, kind: str, name: str, reason: str, detail: str = "") -> None:
        self.rows.append({"kind": kind, "id": name, "reason": reason, "detail": detail})


@dataclass(frozen=True)
class _Kept:
    raw: RawItem
    title: str
    picture: Picture


def curate(raw: RawCatalogue, config: CurateConfig) -> Curated:
    """Verify, deduplicate and lay out a catalogue.

    Args:
        raw: A source's rows.
        config: What is accepted.

    Returns:
        Tables of the record schemas in the source's order, with a quarantine of all other rows.

    Raises:
        DataError: No item is left, or none of them is for training.
    """
    aside = _Aside([])
    kept = list(_readable(raw, config, aside))
    same_as, num_duplicates = _duplicates(kept, raw, config, aside)
    kept = [one for one in kept if one.raw.item_id not in same_as]
    items = pa.Table.from_pylist([_item_row(one, config) for one in kept], schema=ITEMS)
    _require_some(raw.name, items, aside)
    ids = {one.raw.item_id for one in kept}
    boards = raw.boards or themed_boards(items, config.themed_boards)
    board_rows = list(_board_rows(boards, ids, same_as, config, aside))
    events = list(_event_rows(raw.events, ids, same_as, aside)) if raw.events else None
    reasons = Counter(f"{row['kind']}: {row['reason']}" for row in aside.rows)
    notes = {
        "source_items": raw.num_items,
        "items": len(items),
        "boards": len(board_rows),
        "boards_are_themed": not raw.boards,
        "events": len(events or ()),
        "splits": dict(sorted(Counter(items["split"].to_pylist()).items())),
        "categories": len(set(items["category"].to_pylist())),
        "duplicates_found": num_duplicates,
        "quarantine": dict(sorted(reasons.items())),
    }
    return Curated(
        items=items,
        boards=pa.Table.from_pylist(board_rows, schema=BOARDS),
        events=None if events is None else pa.Table.from_pylist(events, schema=EVENTS),
        quarantine=pa.Table.from_pylist(aside.rows, schema=QUARANTINE),
        notes=notes,
    )


def _readable(raw: RawCatalogue, config: CurateConfig, aside: _Aside) -> Iterator[_Kept]:
    """Items with an id of their own, a title and a picture that decodes."""
    seen: set[str] = set()

    def look(item: RawItem) -> Picture | BadPicture:
        try:
            return verify(
                item.image or b"", max_side_px=config.image_px, min_side_px=config.min_side_px
            )
        except BadPicture as error:
            return error

    source = track(raw.items, f"curate {raw.name}", raw.num_items)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while chunk := list(islice(source, _CHUNK)):
            whole = [item for item in chunk if _complete(item, seen, aside)]
            for item, found in zip(whole, pool.map(look, whole), strict=True):
                if isinstance(found, BadPicture):
                    aside.put("item", item.item_id, found.reason, str(found))
                else:
                    yield _Kept(item, _clean(item.title), found)


def _complete(item: RawItem, seen: set[str], aside: _Aside) -> bool:
    if item.fault:
        aside.put("item", item.item_id, "bad row", item.fault)
    elif not item.item_id.strip():
        aside.put("item", item.item_id, "no id", f"title {item.title!r}")
    elif item.item_id in seen:
        aside.put("item", item.item_id, "repeated id", f"title {item.title!r}")
    elif not _clean(item.title):
        aside.put("item", item.item_id, "no title")
    elif not item.image:
        aside.put("item", item.item_id, "no image")
    else:
        seen.add(item.item_id)
        return True
    return False


def _duplicates(
    kept: list[_Kept], raw: RawCatalogue, config: CurateConfig, aside: _Aside
) -> tuple[dict[str, str], int]:
    """Ids of items to leave out with the id that stands for them, and how many were found."""
    exact = exact_duplicates([one.picture.pixels for one in kept])
    near = near_duplicates(
        np.array([one.picture.fingerprint for one in kept], np.uint64),
        [one.title for one in kept],
        max_bits=config.near_duplicate_bits,
        title_overlap_frac=config.title_overlap_frac,
    )
    found = {**near, **exact}
    if raw.keep_duplicates:
        return {}, len(found)
    same_as: dict[str, str] = {}
    for later in sorted(found):
        name, other = kept[later].raw.item_id, kept[found[later]].raw.item_id
        same_as[name] = same_as.get(other, other)
        reason = "exact duplicate" if later in exact else "near duplicate"
        aside.put("item", name, reason, f"of {same_as[name]}")
    return same_as, len(found)


def _item_row(one: _Kept, config: CurateConfig) -> dict[str, Any]:
    raw = one.raw
    attributes = {key: _clean(value) for key, value in raw.attributes.items()}
    return {
        "item_id": raw.item_id,
        "image": one.picture.jpeg,
        "title": one.title,
        "text": _clean(raw.text),
        "category": _clean(raw.category),
        "attributes": digests.canonical_json({k: v for k, v in attributes.items() if v}),
        "price": raw.price,
        "split": raw.split or drawn_split(raw.item_id, config.val_frac, config.test_frac),
        "image_hash": f"{one.picture.fingerprint:016x}",
    }


def drawn_split(name: str, val_frac: float, test_frac: float) -> str:
    """A split drawn from an id: it stays the same when other rows come or go."""
    at = int(digests.of_bytes([name.encode()]), 16) / 16**digests.LENGTH
    return "val" if at < val_frac else "test" if at < val_frac + test_frac else "train"


def _board_rows(
    boards: Iterable[RawBoard],
    ids: set[str],
    same_as: dict[str, str],
    config: CurateConfig,
    aside: _Aside,
) -> Iterator[dict[str, Any]]:
    seen: set[str] = set()
    for board in boards:
        members = dict.fromkeys(same_as.get(item, item) for item in board.items)
        known = [item for item in members if item in ids]
        if board.board_id in seen:
            aside.put("board", board.board_id, "repeated id", f"title {board.title!r}")
        elif len(known) < 2:
            detail = f"{len(known)} of {len(board.items)} items are in the catalogue"
            aside.put("board", board.board_id, "fewer than 2 items", detail)
        else:
            seen.add(board.board_id)
            split = board.split or drawn_split(board.board_id, config.val_frac, config.test_frac)
            yield {
                "board_id": board.board_id,
                "title": _clean(board.title) or board.board_id,
                "theme": _clean(board.theme),
                "items": known,
                "split": split,
            }


def _event_rows(
    events: Iterable[RawEvent], ids: set[str], same_as: dict[str, str], aside: _Aside
) -> Iterator[dict[str, Any]]:
    for event in sorted(events, key=lambda e: (e.user_id, e.time_ms)):
        item = same_as.get(event.item_id, event.item_id)
        name = f"{event.user_id} {event.time_ms}"
        if event.action not in ACTIONS:
            detail = f"{event.action!r} is none of {', '.join(ACTIONS)}"
            aside.put("event", name, "unknown action", detail)
        elif item not in ids:
            aside.put("event", name, "unknown item", event.item_id)
        else:
            yield {
                "user_id": event.user_id,
                "session_id": event.session_id,
                "item_id": item,
                "action": event.action,
                "surface": event.surface,
                "time": event.time_ms,
            }


def _require_some(name: str, items: pa.Table, aside: _Aside) -> None:
    reasons = Counter(row["reason"] for row in aside.rows)
    told = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "no rows"
    if not len(items):
        first = "".join(f"; the first, {row['id']}: {row['detail']}" for row in aside.rows[:1])
        raise DataError(
            f"catalogue {name!r}: no usable item ({told}{first}); at least one is needed"
        )
    if "train" not in items["split"].to_pylist():
        raise DataError(
            f"catalogue {name!r}: none of its {len(items)} usable items is in the train split; "
            "add items, or a `split` column with train, val or test"
        )


def _clean(text: str) -> str:
    normal = unicodedata.normalize("NFC", text)
    return " ".join(_UNPRINTABLE.sub(" ", normal).split())
