"""shop_room: a photo in, items for what is in it out.

The photo is cut into overlapping windows of several sizes; each is searched. Around the best ones
finer windows are tried, twice. Of windows that show the same thing the best one speaks.
"""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.tools.photo import Box, around, cut, open_photo, overlap, windows
from tastemaker.assistant.tools.ranking import Ranked, rank_by_text_and_taste, spread_over
from tastemaker.assistant.tools.search import Search
from tastemaker.assistant.tools.situation import CallError, Situation, text_argument

PER_WINDOW = 10  # items searched for each window
_SAME_REGION = 0.4  # part of the smaller window that two share, from which they show one thing
MAX_PHOTOS = 4  # of one list
# Scale and shift of the finer windows, eight around each of the best. Chosen on 40 generated rooms
# (benchmarks/shop_room.py --first-seed 1000): 0.30 of the pieces found without, 0.55 with the
# first, 0.59 with both.
FINER = ((1.25, 0.15), (1.1, 0.08))
_REFINED = 8  # windows, so that one request holds the finer ones

Hits = list[list[tuple[str, float]]]  # of each window, (item id, score), best first
SearchWindows = Callable[[Sequence[Box]], Awaitable[Hits]]


class ShopRoom:
    """The tool.

    Args:
        search: For the servers, items and vectors.
    """

    def __init__(self, search: Search) -> None:
        self.search = search

    async def __call__(self, arguments: Mapping[str, Any], situation: Situation) -> ItemList:
        """Carry out shop_room.

        Raises:
            CallError: No picture there, or one that cannot be used.
        """
        listed, place = await self.search.locate(arguments["item"], situation)
        places = range(len(listed))[:MAX_PHOTOS] if place is None else [place - 1]
        photos = [await asyncio.to_thread(self._photo, listed, i) for i in places]
        words = text_argument("query", arguments["query"]) if arguments.get("query") else ""
        category = self.search.catalogue.category_named_in(words) if words else None
        found = [await self._shop(photo, category, situation) for photo in photos]
        known = set(listed.item_ids)
        ranked = sorted((row for rows in found for row in rows), key=lambda row: -row[1])
        ranked = [row for row in _once(ranked) if row[0] not in known]
        if words:
            ranked = await self._by_words(ranked, words, situation)
        return self.search.listed(ranked, situation)

    async def _shop(self, photo: str, category: str | None, situation: Situation) -> Ranked:
        catalogue = self.search.catalogue
        picture = await asyncio.to_thread(open_photo, photo)

        async def search(boxes: Sequence[Box]) -> Hits:
            return await self._hits(picture, boxes, category, situation)

        boxes, hits = await scan(search)
        kinds = {row[0]: catalogue.item(row[0]).category for rows in hits for row in rows}
        return pieces(boxes, hits, kinds, self.search.num_items)

    async def _hits(
        self,
        picture: Image.Image,
        boxes: Sequence[Box],
        category: str | None,
        situation: Situation,
    ) -> Hits:
        upstreams = self.search.upstreams
        cuts = await asyncio.to_thread(cut, picture, boxes)
        window_BD = await upstreams.embed_all(
            [{"image": image} for image in cuts], timeout_s=situation.remaining_s()
        )
        hits = await upstreams.search_all(
            window_BD, k=PER_WINDOW, timeout_s=situation.remaining_s(), category=category
        )
        return [self.search.offered(rows, situation) for rows in hits]

    async def _by_words(self, ranked: Ranked, words: str, situation: Situation) -> Ranked:
        query_D = await self.search.embed(words, situation)
        vectors_ND = self.search.catalogue.vectors([item_id for item_id, _ in ranked])
        near = [(row[0], float(s)) for row, s in zip(ranked, vectors_ND @ query_D, strict=True)]
        return rank_by_text_and_taste(near, dict(ranked))

    def _photo(self, listed: ItemList, i: int) -> str:
        """Base64 of the picture at a place: the user's own, or a catalogue item's."""
        if i < len(listed.images) and listed.images[i]:
            return listed.images[i]
        item_id = listed.item_ids[i]
        if item_id is None:
            raise CallError("shop_room: that picture is no longer held; send it again")
        return base64.b64encode(self.search.catalogue.image(item_id)).decode()


async def scan(search: SearchWindows) -> tuple[list[Box], Hits]:
    """Search the windows of a photo, then finer ones around the best.

    Args:
        search: Windows to what is found in each.

    Returns:
        All windows, and what was found in them.
    """
    boxes = windows()
    hits = await search(boxes)
    for scale, shift in FINER:
        best = apart(boxes, hits)[:_REFINED]
        finer = [box for b in best for box in around(boxes[b], scale, shift)]
        if finer:
            hits = [*hits, *await search(finer)]
            boxes = [*boxes, *finer]
    return boxes, hits


def apart(boxes: Sequence[Box], hits: Sequence[Sequence[tuple[str, float]]]) -> list[int]:
    """Windows that show different things, the surest first (non-maximum suppression).

    Windows are taken in order of their best score; one that shares much with a window taken
    before shows the same thing and is left out.
    """
    order = sorted((b for b in range(len(boxes)) if hits[b]), key=lambda b: -hits[b][0][1])
    kept: list[int] = []
    for b in order:
        if all(overlap(boxes[b], boxes[other]) < _SAME_REGION for other in kept):
            kept.append(b)
    return kept


def pieces(
    boxes: Sequence[Box],
    hits: Sequence[Sequence[tuple[str, float]]],
    kinds: Mapping[str, str],
    k: int,
) -> Ranked:
    """The items of a room: from each thing in it the best, then the second best, and so on.

    Args:
        boxes: The windows.
        hits: Of each window, (item id, score), best first.
        kinds: Category by item id.
        k: How many items, >= 1.

    Returns:
        (item id, score), at most k, no item twice; of one category at most half, while there
        are others.
    """
    kept = apart(boxes, hits)
    depth = max((len(hits[b]) for b in kept), default=0)
    ranked = _once([hits[b][n] for n in range(depth) for b in kept if n < len(hits[b])])
    return spread_over(ranked, kinds, k, per_kind=max(1, int(np.ceil(k / 2))))


def _once(rows: Sequence[tuple[str, float]]) -> Ranked:
    """Each item where it first stands."""
    seen: dict[str, float] = {}
    for item_id, score in rows:
        seen.setdefault(item_id, score)
    return list(seen.items())
