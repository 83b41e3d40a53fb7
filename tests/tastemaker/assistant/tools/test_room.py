import asyncio
import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageStat

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.tools.photo import Box
from tastemaker.assistant.tools.room import pieces, scan
from tastemaker.assistant.tools.situation import CallError, Situation
from tests.tastemaker.assistant.conftest import Servers, embed
from tests.tastemaker.assistant.tools.test_native import tools_of

RED, BLUE = (220, 30, 30), (30, 30, 220)


@pytest.fixture(autouse=True)
def eyes(servers: Servers, catalogue: Catalogue) -> None:
    """An encoder that takes red for a lamp, blue for a sofa, and anything else for little."""
    looks = {
        kind: next(i for i in catalogue.items if i.category == kind).attributes["color"]
        for kind in ("lamp", "sofa")
    }

    def see(picture: bytes) -> str:
        red, green, blue = ImageStat.Stat(Image.open(io.BytesIO(picture)).convert("RGB")).mean
        if min(red, green, blue) > 120:
            return "nothing"
        kind = "lamp" if red > blue else "sofa"
        return f"{looks[kind]} {kind}"

    servers.see = see


def photo(*spots: tuple[tuple[int, int, int], int, int]) -> str:
    room = Image.new("RGB", (240, 240), "white")
    for color, x, y in spots:
        room.paste(color, (x, y, x + 80, y + 80))
    out = io.BytesIO()
    room.save(out, "JPEG", quality=95)
    return base64.b64encode(out.getvalue()).decode()


def shop(servers: Servers, picture: ItemList, **arguments: Any) -> tuple[ItemList, Situation]:
    situation = Situation([picture], {"events": []}, None, lambda: 5.0)

    async def execute() -> ItemList:
        async with tools_of(servers) as tools:
            call = {"item": "@1#1", **arguments}
            result = await tools.execute("shop_room", call, situation)
            assert result.items is not None
            return result.items

    return asyncio.run(execute()), situation


def own(*images: str) -> ItemList:
    vectors = np.stack([embed("white")] * len(images))
    return ItemList((None,) * len(images), vectors, images=images)


def kinds(catalogue: Catalogue, items: ItemList) -> set[tuple[str, str]]:
    found = [catalogue.item(str(item_id)) for item_id in items.item_ids]
    return {(item.attributes["color"], item.category) for item in found}


def test_each_thing_in_the_photo_is_found(servers: Servers, catalogue: Catalogue) -> None:
    found, _ = shop(servers, own(photo((RED, 0, 0), (BLUE, 160, 160))))
    assert {"lamp", "sofa"} <= {category for _, category in kinds(catalogue, found)}
    assert len(set(found.item_ids)) == len(found) == 5
    asked = servers.asked["encoder"]
    assert 59 < len(asked) == len(servers.asked["retrieval"]) <= 59 + 2 * 64


def test_words_keep_to_the_kind_that_they_name(servers: Servers, catalogue: Catalogue) -> None:
    found, _ = shop(servers, own(photo((RED, 0, 0), (BLUE, 160, 160))), query="the lamp")
    assert {category for _, category in kinds(catalogue, found)} == {"lamp"}


def test_a_whole_list_is_all_its_photos(servers: Servers, catalogue: Catalogue) -> None:
    found, _ = shop(servers, own(photo((RED, 0, 0)), photo((BLUE, 80, 80))), item="@1")
    assert {"lamp", "sofa"} <= {category for _, category in kinds(catalogue, found)}


def test_a_catalogue_items_picture_can_be_shopped_too(
    servers: Servers, catalogue: Catalogue
) -> None:
    item_id = catalogue.items[3].item_id
    found, _ = shop(servers, ItemList((item_id,), catalogue.vectors([item_id])))
    assert item_id not in found.item_ids
    assert len(found)


def test_a_picture_that_is_gone_or_broken_is_a_fault(servers: Servers) -> None:
    with pytest.raises(CallError, match="no longer held"):
        shop(servers, ItemList((None,), embed("white")[None]))
    with pytest.raises(CallError, match="is not one of"):
        shop(servers, own(base64.b64encode(b"nonsense").decode()))
    with pytest.raises(CallError, match="items #1 to #1"):
        shop(servers, own(photo()), item="@1#2")


def test_windows_of_one_thing_speak_once() -> None:
    boxes = [(0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 0.5, 0.5), (0.5, 0.5, 1.0, 1.0)]
    hits = [
        [("whole", 0.3)],
        [("sofa", 0.9), ("couch", 0.8)],
        [("lamp", 0.7), ("sofa", 0.6)],
    ]
    kinds = {"whole": "w", "sofa": "s", "couch": "s", "lamp": "l"}
    # the whole photo shows the sofa's window: it is left out
    assert pieces(boxes, hits, kinds, 4) == [("sofa", 0.9), ("lamp", 0.7), ("couch", 0.8)]
    assert pieces(boxes, [[], [], []], kinds, 4) == []


def test_finer_windows_close_in_on_a_thing() -> None:
    thing = (0.31, 0.12, 0.6, 0.41)
    asked: list[int] = []

    async def search(boxes: Sequence[Box]) -> list[list[tuple[str, float]]]:
        """Sees the thing the better the more of a window it fills, and the window of it."""
        asked.append(len(boxes))
        return [[("thing", likeness(box))] for box in boxes]

    def likeness(box: Box) -> float:
        wide = max(0.0, min(box[2], thing[2]) - max(box[0], thing[0]))
        high = max(0.0, min(box[3], thing[3]) - max(box[1], thing[1]))
        area = (box[2] - box[0]) * (box[3] - box[1]) + 0.29**2 - wide * high
        return wide * high / area

    boxes, hits = asyncio.run(scan(search))
    assert len(boxes) == len(hits) == sum(asked)
    assert asked[0] == 59
    assert max(asked) <= 64
    coarse, fine = max(row[0][1] for row in hits[:59]), max(row[0][1] for row in hits)
    assert fine > coarse + 0.1
    for box in boxes:
        assert 0 <= box[0] < box[2] <= 1.001
        assert 0 <= box[1] < box[3] <= 1.001
