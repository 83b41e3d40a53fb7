import io
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from tastemaker.core.errors import DataError
from tastemaker.data.curation import CurateConfig, Curated, curate, drawn_split
from tastemaker.data.demo_catalogue import DemoConfig, open_demo
from tastemaker.data.records import RawBoard, RawCatalogue, RawEvent, RawItem, attributes

CONFIG = CurateConfig(
    demo=DemoConfig(items=60, boards=10, duplicates_frac=0.2, corrupt=3, untitled=2, image_px=96)
)


def picture(seed: int) -> bytes:
    image = Image.effect_noise((32, 32), 80).convert("RGB")
    image.paste((seed * 40 % 256, seed * 90 % 256, seed * 7 % 256), (seed % 16, 0, 32, 16))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


PICTURES = [picture(seed) for seed in range(6)]
ITEMS = [RawItem(f"i{n}", PICTURES[n], f"title {n}", category="c", split="train") for n in range(4)]


def catalogue(items: Iterable[RawItem], **rest: Any) -> RawCatalogue:
    rows = list(items)
    return RawCatalogue("test", iter(rows), len(rows), **rest)


def reasons(curated: Curated) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in curated.quarantine.to_pylist()}


def test_every_row_of_the_demo_is_kept_or_set_aside_with_its_reason() -> None:
    curated = curate(open_demo(CONFIG.demo), CONFIG)
    set_aside = curated.notes["quarantine"]
    assert {why: n for why, n in set_aside.items() if why.startswith("item")} == {
        "item: exact duplicate": 6,
        "item: near duplicate": 6,
        "item: no title": 2,
        "item: unreadable image": 3,
    }
    assert len(curated.items) == 60
    assert sum(set_aside.values()) == len(curated.quarantine)
    known = set(curated.items["item_id"].to_pylist())
    assert all(set(board) <= known for board in curated.boards["items"].to_pylist())


def test_the_same_source_gives_the_same_tables() -> None:
    first, second = (curate(open_demo(CONFIG.demo), CONFIG) for _ in range(2))
    assert first.items.equals(second.items)
    assert first.boards.equals(second.boards)
    assert first.quarantine.equals(second.quarantine)


def test_faulty_rows_are_named() -> None:
    faulty = [
        RawItem("", PICTURES[0], "t"),
        replace(ITEMS[0], title="again"),
        RawItem("blank", PICTURES[1], " \x00\n"),
        RawItem("bare", None, "t"),
        RawItem("text", b"hello", "t"),
        RawItem("odd", PICTURES[2], "t", fault="price 'x' is not a number >= 0"),
    ]
    curated = curate(catalogue([*ITEMS, *faulty]), CONFIG)
    assert reasons(curated) == {
        "": "no id",
        "i0": "repeated id",
        "blank": "no title",
        "bare": "no image",
        "text": "unreadable image",
        "odd": "bad row",
    }
    assert curated.items["item_id"].to_pylist() == ["i0", "i1", "i2", "i3"]


def test_boards_and_events_follow_a_duplicate_to_the_item_kept() -> None:
    copy = replace(ITEMS[1], item_id="copy", title="other words")
    boards = (
        RawBoard("b0", "both", ("copy", "i1", "i2", "gone")),
        RawBoard("b1", "one left", ("copy", "i1")),
    )
    events = (
        RawEvent("u", "s", "copy", "save", "feed", 2000),
        RawEvent("u", "s", "gone", "save", "feed", 3000),
        RawEvent("u", "s", "i0", "poke", "feed", 4000),  # type: ignore[arg-type]
        RawEvent("u", "s", "i0", "click", "feed", 1000),
    )
    curated = curate(catalogue([*ITEMS, copy], boards=boards, events=events), CONFIG)
    assert curated.boards["items"].to_pylist() == [["i1", "i2"]]
    assert curated.events is not None
    assert curated.events["item_id"].to_pylist() == ["i0", "i1"]
    assert reasons(curated) == {
        "copy": "exact duplicate",
        "b1": "fewer than 2 items",
        "u 3000": "unknown item",
        "u 4000": "unknown action",
    }


def test_a_benchmark_keeps_its_duplicates_and_counts_them() -> None:
    copy = replace(ITEMS[1], item_id="copy")
    curated = curate(catalogue([*ITEMS, copy], keep_duplicates=True), CONFIG)
    assert len(curated.items) == 5
    assert curated.notes["duplicates_found"] == 1


def test_words_are_normalised_and_empty_attributes_left_out() -> None:
    raw = replace(ITEMS[0], title=" Cafe\u0301\ttable ", attributes={"color": " red ", "size": " "})
    row = curate(catalogue([raw, *ITEMS[1:]]), CONFIG).items.slice(0, 1).to_pylist()[0]
    assert row["title"] == "Caf\u00e9 table"
    assert attributes(row["attributes"]) == {"color": "red"}


def test_a_drawn_split_depends_on_the_id_alone_and_keeps_its_share() -> None:
    splits = [drawn_split(f"item {n}", 0.08, 0.12) for n in range(5000)]
    assert splits.count("val") / 5000 == pytest.approx(0.08, abs=0.015)
    assert splits.count("test") / 5000 == pytest.approx(0.12, abs=0.015)
    assert drawn_split("x", 0, 0) == "train"


def test_all_items_corrupt_is_an_error_with_the_count() -> None:
    broken = [replace(item, image=b"nothing") for item in ITEMS]
    with pytest.raises(
        DataError,
        match=rf"'test': no usable item \(4 unreadable image; the first, {ITEMS[0].item_id}: .+\)",
    ):
        curate(catalogue(broken), CONFIG)


def test_nothing_to_train_on_is_an_error() -> None:
    held = [replace(item, split="test") for item in ITEMS]
    with pytest.raises(DataError, match="none of its 4 usable items is in the train split"):
        curate(catalogue(held), CONFIG)
