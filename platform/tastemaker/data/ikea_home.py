"""The ikea-home set: furniture with photos, texts and rooms in which products stand together."""

import gzip
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tastemaker.core.errors import DataError
from tastemaker.data.records import RawBoard, RawCatalogue, RawItem, Split

_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "test": "test"}


def open_ikea_home(root: Path) -> RawCatalogue:
    """Open the set.

    Args:
        root: Holds products.jsonl.gz, boards.jsonl.gz and product_images.zip.

    Raises:
        DataError: A file is missing.
    """
    products, boards = root / "products.jsonl.gz", root / "boards.jsonl.gz"
    images = root / "product_images.zip"
    for path in (products, boards, images):
        if not path.is_file():
            raise DataError(f"catalogue 'ikea-home': {path} is missing")
    rows = _lines(products)
    return RawCatalogue(
        name="ikea-home",
        items=_items(rows, images),
        num_items=len(rows),
        boards=tuple(_board(row) for row in _lines(boards)),
        keep_duplicates=True,
    )


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _items(rows: list[dict[str, Any]], images: Path) -> Iterator[RawItem]:
    with zipfile.ZipFile(images) as archive:
        names = set(archive.namelist())
        for row in rows:
            name = f"{row['id']}.jpg"
            yield RawItem(
                item_id=row["id"],
                image=archive.read(name) if name in names else None,
                title=" ".join(part for part in (row["name"], row["type"]) if part),
                text=row["desc"],
                category=row["type"],
                attributes={key: row[key] for key in ("color", "type", "size")},
                split=_split(row["id"]),
            )


def _split(item_id: str) -> Split:
    """The protocol's text queries: ids whose digits, as a number, are divisible by 5."""
    number = int("".join(c for c in item_id if c.isdigit()) or 1)
    return "test" if number % 5 == 0 else "val" if number % 20 == 1 else "train"


def _board(row: dict[str, Any]) -> RawBoard:
    return RawBoard(
        board_id=f"room-{row['board']:04d}",
        title=row["title"],
        items=tuple(row["products"]),
        theme=row["room_category"],
        split=_SPLITS[row["split"]],
    )
