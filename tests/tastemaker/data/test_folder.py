import csv
import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tastemaker.core.errors import DataError
from tastemaker.data.folder import open_folder

ROWS = [
    {"id": "a", "image": "images/a.png", "title": "Red lamp", "price": "12.5", "color": "red"},
    {"id": "b", "image": "images/b.png", "title": "Blue rug", "price": "", "color": "blue"},
]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name, color in (("a", "red"), ("b", "blue")):
        Image.new("RGB", (40, 40), color).save(tmp_path / "images" / f"{name}.png")
    return tmp_path


def write_csv(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def faults(shop: Path, change: Mapping[str, str]) -> str:
    write_csv(shop / "items.csv", [{**ROWS[0], **change}])
    return next(iter(open_folder(shop).items)).fault


def test_the_three_formats_give_the_same_items(shop: Path) -> None:
    found = []
    for suffix in ("csv", "jsonl", "parquet"):
        table = shop / f"items.{suffix}"
        if suffix == "csv":
            write_csv(table, ROWS)
        elif suffix == "jsonl":
            rows = [{**row, "price": float(row["price"]) if row["price"] else None} for row in ROWS]
            table.write_text("\n".join(json.dumps(row) for row in rows))
        else:
            pq.write_table(pa.Table.from_pylist(ROWS), table)
        found.append(list(open_folder(shop).items))
        table.unlink()
    assert found[0] == found[1] == found[2]
    lamp, rug = found[0]
    assert (lamp.item_id, lamp.title, lamp.price, lamp.split) == ("a", "Red lamp", 12.5, None)
    assert lamp.attributes == {"color": "red"}
    assert lamp.image == (shop / "images" / "a.png").read_bytes()
    assert rug.price is None


def test_an_image_outside_the_folder_is_a_fault(shop: Path) -> None:
    (shop.parent / "secret.png").write_bytes(b"x")
    (shop / "link.png").symlink_to(shop.parent / "secret.png")
    for name in ("../secret.png", "/etc/passwd", "link.png"):
        assert "outside the folder" in faults(shop, {"image": name})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": "images/none.png"}, "image 'images/none.png' does not exist"),
        ({"image": "images"}, "image 'images' does not exist"),
        ({"price": "cheap"}, "price 'cheap' is not a number >= 0"),
        ({"price": "-1"}, "price '-1' is not a number >= 0"),
        ({"price": "nan"}, "price 'nan' is not a number >= 0"),
        ({"split": "dev"}, "split 'dev' is none of train, val, test"),
        ({"attributes": "[red]"}, "is not a JSON object"),
    ],
)
def test_a_faulty_row_keeps_its_fault(shop: Path, change: dict[str, str], message: str) -> None:
    assert message in faults(shop, change)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"items\.csv, items\.jsonl, items\.parquet; it is empty"):
        open_folder(tmp_path)


def test_a_folder_without_a_table_is_refused(shop: Path) -> None:
    with pytest.raises(DataError, match=r"must hold one of .* it has none of them"):
        open_folder(shop)


def test_two_tables_are_refused(shop: Path) -> None:
    write_csv(shop / "items.csv", ROWS)
    (shop / "items.jsonl").write_text("{}")
    with pytest.raises(DataError, match=r"items\.csv and items\.jsonl; exactly one"):
        open_folder(shop)


@pytest.mark.parametrize("missing", ["id", "image", "title"])
def test_a_missing_column_is_named_with_those_found(shop: Path, missing: str) -> None:
    write_csv(shop / "items.csv", [{k: v for k, v in row.items() if k != missing} for row in ROWS])
    with pytest.raises(DataError, match=rf"no column .*'{missing}'; its columns are: .*color"):
        open_folder(shop)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("items.csv", b"", "no column 'item_id' or 'id'"),
        ("items.csv", b"id,image,title\n", "has no rows"),
        ("items.csv", b"id,image,title\n\xff\xfe,a,b\n", "cannot be read as csv"),
        ("items.jsonl", b'{"id": 1}\n{oops\n', "line 2"),
        ("items.jsonl", b"[1, 2]\n", "line 1 is not a JSON object"),
        ("items.parquet", b"PAR?", "cannot be read as parquet"),
    ],
)
def test_a_broken_table_is_refused(shop: Path, name: str, content: bytes, message: str) -> None:
    (shop / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_folder(shop)


def test_boards_and_events_are_read_where_there_are(shop: Path) -> None:
    write_csv(shop / "items.csv", ROWS)
    boards = [{"board_id": "b0", "title": "Both", "items": "a|b", "split": "val"}]
    write_csv(shop / "boards.csv", boards)
    event = {"user_id": "u", "item_id": "a", "action": "save", "time": "2026-01-02T00:00:00Z"}
    later = {**event, "time": 1_767_312_001_000, "session_id": "s", "surface": "search"}
    (shop / "events.jsonl").write_text("\n".join(json.dumps(row) for row in (event, later)))
    raw = open_folder(shop)
    assert raw.boards[0].items == ("a", "b")
    assert raw.boards[0].split == "val"
    assert [e.time_ms for e in raw.events] == [1_767_312_000_000, 1_767_312_001_000]
    assert [e.surface for e in raw.events] == ["feed", "search"]


def test_a_time_that_is_none_is_refused(shop: Path) -> None:
    write_csv(shop / "items.csv", ROWS)
    rows = [{"user_id": "u", "item_id": "a", "action": "save", "time": "noon"}]
    write_csv(shop / "events.csv", rows)
    with pytest.raises(DataError, match="time 'noon' is neither"):
        open_folder(shop)
