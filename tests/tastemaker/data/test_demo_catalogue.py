from itertools import islice

import pytest

from tastemaker.data.demo_catalogue import CATEGORIES, DemoConfig, open_demo
from tastemaker.data.demo_shapes import SHAPES
from tastemaker.data.records import RawItem

CONFIG = DemoConfig(items=600, boards=40, duplicates_frac=0.05, image_px=32)


@pytest.fixture(scope="module")
def items() -> list[RawItem]:
    return list(open_demo(CONFIG).items)


def test_the_seed_alone_decides(items: list[RawItem]) -> None:
    assert list(islice(open_demo(CONFIG).items, 40)) == items[:40]
    other = open_demo(CONFIG.model_copy(update={"seed": 8}))
    assert next(iter(other.items)) != items[0]


def test_the_number_of_items_is_told_beforehand(items: list[RawItem]) -> None:
    assert open_demo(CONFIG).num_items == len(items)
    assert len({item.item_id for item in items}) == len(items)


@pytest.mark.parametrize("key", ["color", "material"])
def test_held_out_compositions_are_in_test_alone(items: list[RawItem], key: str) -> None:
    def pairs(split: str) -> set[tuple[str, str]]:
        return {(i.category, i.attributes[key]) for i in items if i.split == split}

    assert pairs("test") - pairs("train") - pairs("val")
    in_both = pairs("test") & pairs("train")
    for item in items:
        other = "material" if key == "color" else "color"
        if item.split == "test" and (item.category, item.attributes[key]) in in_both:
            # then the other attribute makes it a held-out composition
            pair = (item.category, item.attributes[other])
            assert pair not in {
                (i.category, i.attributes[other]) for i in items if i.split == "train"
            }


def test_some_attributes_show_in_the_image_alone(items: list[RawItem]) -> None:
    told = [item.attributes["color"] in f"{item.title} {item.text}".lower() for item in items]
    assert 0.6 < sum(told) / len(told) < 0.95


def test_every_category_has_two_shapes() -> None:
    assert set(SHAPES) == set(CATEGORIES)
    assert all(len(shapes) >= 2 for shapes in SHAPES.values())


def test_boards_keep_to_a_style_and_a_palette(items: list[RawItem]) -> None:
    by_id = {item.item_id: item for item in items}
    for board in open_demo(CONFIG).boards:
        style = board.theme.split()[0]
        strays = [i for i in board.items if by_id[i].attributes["style"] != style]
        assert len(strays) <= 1
