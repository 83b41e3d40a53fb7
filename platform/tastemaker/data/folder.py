"""A folder as a catalogue: images and one items table; boards and events where it has them."""

import csv
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tastemaker.core.errors import DataError
from tastemaker.data.records import RawBoard, RawCatalogue, RawEvent, RawItem, Split

SUFFIXES = (".csv", ".jsonl", ".parquet")
_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "test": "test"}
_TEXT = ("text", "description")
_KNOWN = {"item_id", "id", "image", "title", *_TEXT, "category", "price", "split", "attributes"}
Row = dict[str, str]


def open_folder(root: Path) -> RawCatalogue:
    """Open a folder with exactly one of items.csv, items.jsonl and items.parquet.

    Columns: `item_id` (or `id`), `image` (a path inside the folder) and `title`; and, where
    there are, `text` (or `description`), `category`, `price`, `split` and `attributes` (a JSON
    object). Every other column becomes an attribute. Rows with a fault are kept with it, for
    curation to set aside.

    Args:
        root: An existing folder.

    Raises:
        DataError: No table or several, a table that cannot be read, or a missing column.
    """
    path = _table(root, "items")
    if path is None:
        names = ", ".join(f"items{suffix}" for suffix in SUFFIXES)
        held = "it is empty" if not any(root.iterdir()) else "it has none of them"
        raise DataError(f"folder {root} must hold one of {names}; {held}")
    rows = _rows(path, (("item_id", "id"), ("image",), ("title",)))
    boards, events = _table(root, "boards"), _table(root, "events")
    event_columns = (("user_id",), ("item_id",), ("action",), ("time",))
    return RawCatalogue(
        name=root.resolve().name or "folder",
        items=(_item(row, root) for row in rows),
        num_items=len(rows),
        boards=tuple(_board(row, boards) for row in _rows(boards, (("board_id", "id"), ("items",))))
        if boards
        else (),
        events=tuple(_event(row, events) for row in _rows(events, event_columns)) if events else (),
    )


def _table(root: Path, name: str) -> Path | None:
    found = [root / f"{name}{suffix}" for suffix in SUFFIXES]
    found = [path for path in found if path.is_file()]
    if len(found) > 1:
        names = " and ".join(path.name for path in found)
        raise DataError(f"folder {root} holds {names}; exactly one {name} table is read")
    return found[0] if found else None


def _rows(path: Path, required: tuple[tuple[str, ...], ...]) -> list[Row]:
    try:
        rows, columns = _READERS[path.suffix](path)
    except (OSError, UnicodeDecodeError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as {path.suffix[1:]}: {error}") from None
    for names in required:
        if not set(names) & set(columns):
            wanted = " or ".join(repr(name) for name in names)
            raise DataError(f"{path} has no column {wanted}; its columns are: {', '.join(columns)}")
    if not rows:
        raise DataError(f"{path} has no rows")
    return rows


def _csv(path: Path) -> tuple[list[Row], list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True, restkey="", restval="")
        rows = [{k: v for k, v in row.items() if k} for row in reader]
        return rows, list(reader.fieldnames or ())


def _jsonl(path: Path) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    columns: dict[str, None] = {}
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number}: {error}") from None
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is not a JSON object")
        columns |= dict.fromkeys(row)
        rows.append({key: _text(value) for key, value in row.items()})
    return rows, list(columns)


def _parquet(path: Path) -> tuple[list[Row], list[str]]:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    rows = [{k: _text(v) for k, v in row.items()} for row in table.to_pylist()]
    return rows, list(table.column_names)


_READERS: dict[str, Callable[[Path], tuple[list[Row], list[str]]]] = {
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".parquet": _parquet,
}


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str, ensure_ascii=False).strip('"')


def _item(row: Row, root: Path) -> RawItem:
    faults: list[str] = []
    image = _image(row.get("image", ""), root, faults)
    price = _price(row.get("price", ""), faults)
    split = row.get("split", "").strip()
    if split and split not in _SPLITS:
        faults.append(f"split {split!r} is none of train, val, test")
    return RawItem(
        item_id=(row.get("item_id") or row.get("id") or "").strip(),
        image=image,
        title=row.get("title", ""),
        text=row.get("text") or row.get("description") or "",
        category=row.get("category", ""),
        attributes=_attributes(row, faults),
        price=price,
        split=_SPLITS.get(split),
        fault="; ".join(faults),
    )


def _image(name: str, root: Path, faults: list[str]) -> bytes | None:
    if not name.strip():
        return None
    try:
        path = (root / name.strip()).resolve()
        if not path.is_relative_to(root.resolve()):
            faults.append(f"image {name!r} is outside the folder")
        elif not path.is_file():
            faults.append(f"image {name!r} does not exist")
        else:
            return path.read_bytes()
    except (OSError, ValueError) as error:
        faults.append(f"image {name!r} cannot be read: {error}")
    return None


def _price(text: str, faults: list[str]) -> float | None:
    if not text.strip():
        return None
    try:
        price = float(text)
    except ValueError:
        price = math.nan
    if not (math.isfinite(price) and price >= 0):
        faults.append(f"price {text!r} is not a number >= 0")
        return None
    return price


def _attributes(row: Row, faults: list[str]) -> dict[str, str]:
    values = {key: value for key, value in row.items() if key not in _KNOWN}
    if given := row.get("attributes", "").strip():
        try:
            values |= {str(key): _text(value) for key, value in dict(json.loads(given)).items()}
        except (ValueError, TypeError):
            faults.append(f"attributes {given[:60]!r} is not a JSON object")
    return values


def _board(row: Row, path: Path) -> RawBoard:
    split = row.get("split", "").strip()
    name = row.get("board_id") or row.get("id") or ""
    if split and split not in _SPLITS:
        raise DataError(f"{path}: board {name!r}: split {split!r} is none of train, val, test")
    return RawBoard(
        board_id=name,
        title=row.get("title", ""),
        items=_ids(row["items"], path),
        theme=row.get("theme", ""),
        split=_SPLITS.get(split),
    )


def _ids(text: str, path: Path) -> tuple[str, ...]:
    """Item ids as a JSON list, or separated by spaces, commas, semicolons or bars."""
    if not text.lstrip().startswith("["):
        return tuple(re.split(r"[\s,;|]+", text.strip()))
    try:
        return tuple(_text(value) for value in json.loads(text))
    except json.JSONDecodeError:
        raise DataError(f"{path}: items {text[:60]!r} is not a JSON list") from None


def _event(row: Row, path: Path) -> RawEvent:
    return RawEvent(
        user_id=row["user_id"],
        session_id=row.get("session_id") or row["user_id"],
        item_id=row["item_id"],
        action=row["action"],  # type: ignore[arg-type]  # curation sets unknown ones aside
        surface=row.get("surface") or "feed",
        time_ms=_time_ms(row["time"], path),
    )


def _time_ms(text: str, path: Path) -> int:
    """Milliseconds since 1970, or an ISO 8601 time; without a zone it is UTC."""
    if text.strip().isdigit():
        return int(text)
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise DataError(
            f"{path}: time {text!r} is neither milliseconds since 1970 nor ISO 8601"
        ) from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
