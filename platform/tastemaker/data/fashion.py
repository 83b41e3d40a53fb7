"""The fashion set: product photos with titles and attributes, in its published splits."""

import csv
import gzip
import zipfile
from collections.abc import Iterator
from pathlib import Path

from tastemaker.core.errors import DataError
from tastemaker.data.records import RawCatalogue, RawItem, Split

_SPLITS: dict[str, Split] = {"train": "train", "val": "val", "test": "test"}
_ATTRIBUTES = {
    "color": "base_colour",
    "gender": "gender",
    "usage": "usage",
    "season": "season",
    "type": "sub_category",
}


def open_fashion(root: Path) -> RawCatalogue:
    """Open the set.

    Args:
        root: Holds items.tsv.gz and images.zip.

    Raises:
        DataError: A file is missing.
    """
    table, images = root / "items.tsv.gz", root / "images.zip"
    for path in (table, images):
        if not path.is_file():
            raise DataError(f"catalogue 'fashion': {path} is missing")
    with gzip.open(table, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return RawCatalogue("fashion", _items(rows, images), len(rows), keep_duplicates=True)


def _items(rows: list[dict[str, str]], images: Path) -> Iterator[RawItem]:
    with zipfile.ZipFile(images) as archive:
        names = set(archive.namelist())
        for row in rows:
            name = f"{row['id']}.jpg"
            yield RawItem(
                item_id=row["id"],
                image=archive.read(name) if name in names else None,
                title=row["title"],
                category=row["article_type"],
                attributes={key: row[column] for key, column in _ATTRIBUTES.items()},
                split=_SPLITS[row["split"]],
            )
