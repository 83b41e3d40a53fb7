"""Finding items: by words, by what they are like, or both."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.clients import Upstreams
from tastemaker.assistant.conversation import ItemList
from tastemaker.assistant.tools.situation import CallError, Situation, find_list, text_argument
from tastemaker.retrieval.index import UNLIKE_WEIGHT
from tastemaker.router.messages import parse_handle

Reference = str | Mapping[str, str]  # "@1#2", "@1", or {"list": "@1", "ref": "the red one"}
# Of the words against the item. On the demo catalogue, for 150 draws of an item and "in <colour>",
# 0.47 of the first ten had the colour at 0.7, 0.70 at 1, 0.89 at 1.5 (their likeness to the item:
# 0.60, 0.50, 0.41); chosen on those same draws.
_CHANGE_WEIGHT = 1.5


class Search:
    """search_items and similar_items, and what the other tools need of them.

    Args:
        catalogue: Items and their vectors.
        upstreams: The model servers.
        num_items: Items of a list, >= 1.
    """

    def __init__(self, catalogue: Catalogue, upstreams: Upstreams, num_items: int) -> None:
        self.catalogue, self.upstreams, self.num_items = catalogue, upstreams, num_items

    async def by_words(self, arguments: Mapping[str, Any], situation: Situation) -> ItemList:
        """Carry out search_items."""
        target_D, leave_out = await self._target(arguments, situation)
        category, max_price = None, arguments.get("max_price")
        if arguments.get("category"):
            category = self.catalogue.category(text_argument("category", arguments["category"]))
        if "cheaper_than" in arguments:
            below = self._cheaper(find_list(arguments["cheaper_than"], situation.lists))
            max_price = below if max_price is None else min(max_price, below)
        found = await self.upstreams.search(
            target_D,
            k=self.num_items + len(leave_out | situation.hidden),
            timeout_s=situation.remaining_s(),
            category=category,
            max_price=max_price,
        )
        return self.listed([row for row in found if row[0] not in leave_out], situation)

    async def by_likeness(self, arguments: Mapping[str, Any], situation: Situation) -> ItemList:
        """Carry out similar_items."""
        like_D, leave_out = await self.resolve(arguments["item"], situation)
        category = None
        if arguments.get("query"):
            change = text_argument("query", arguments["query"])
            like_D = blend(like_D, await self.embed(change, situation), _CHANGE_WEIGHT)
            category = self._category_of_change(change, leave_out)
        found = await self.upstreams.search(
            like_D,
            k=self.num_items + len(leave_out | situation.hidden),
            timeout_s=situation.remaining_s(),
            category=category,
        )
        return self.listed([row for row in found if row[0] not in leave_out], situation)

    async def fitting(self, words: str, situation: Situation, *, k: int) -> list[tuple[str, float]]:
        """The k items that fit the words best, of the category that they name, if any."""
        hidden = situation.hidden
        found = await self.upstreams.search(
            await self.embed(words, situation),
            k=k + len(hidden),
            timeout_s=situation.remaining_s(),
            category=self.catalogue.category_named_in(words),
        )
        return [row for row in found if row[0] not in hidden][:k]

    async def resolve(
        self, item: Reference, situation: Situation
    ) -> tuple[np.ndarray, set[str | None]]:
        """Unit vector of what a reference names, and the ids that are like it trivially.

        Raises:
            CallError: A handle out of range.
        """
        listed, place = await self.locate(item, situation)
        if place is None:
            return unit(listed.vectors_ND.mean(0)), set(listed.item_ids)
        return listed.vectors_ND[place - 1], {listed.item_ids[place - 1]}

    async def locate(self, item: Reference, situation: Situation) -> tuple[ItemList, int | None]:
        """The list that a reference points into, and the place there, from 1; None for all of it.

        Raises:
            CallError: A handle out of range.
        """
        if isinstance(item, str):
            listed, place = find_list(item, situation.lists), parse_handle(item)[1]
        else:
            listed = find_list(item["list"], situation.lists)
            ref_D = await self.embed(text_argument("ref", item["ref"]), situation)
            place = int(np.argmax(listed.vectors_ND @ ref_D)) + 1
        if place is not None and place > len(listed):
            raise CallError(f"{item!r}: that list has items #1 to #{len(listed)}")
        return listed, place

    async def embed(self, text: str, situation: Situation) -> np.ndarray:
        """Vector of a text."""
        return await self.upstreams.embed({"text": text}, timeout_s=situation.remaining_s())

    def offered(
        self, found: Iterable[tuple[str, float]], situation: Situation
    ) -> list[tuple[str, float]]:
        """Those of (item id, score) that the catalogue knows and the user did not hide."""
        place, hidden = self.catalogue.place, situation.hidden
        return [row for row in found if row[0] in place and row[0] not in hidden]

    def listed(self, found: Iterable[tuple[str, float]], situation: Situation) -> ItemList:
        """The first `num_items` of (item id, score) that can be offered."""
        known = self.offered(found, situation)[: self.num_items]
        ids = tuple(item_id for item_id, _ in known)
        return ItemList(ids, self.catalogue.vectors(ids), tuple(score for _, score in known))

    async def _target(
        self, arguments: Mapping[str, Any], situation: Situation
    ) -> tuple[np.ndarray, set[str | None]]:
        """What to search for: the words, plus liked references, less unliked ones."""
        parts, leave_out = [], set[str | None]()
        if arguments.get("query"):
            query = self._query(arguments, situation)
            parts.append(await self.embed(query, situation))
        for name, weight in (("like", 1.0), ("unlike", -UNLIKE_WEIGHT)):
            found = [await self.resolve(ref, situation) for ref in arguments.get(name) or ()]
            if found:
                parts.append(weight * np.mean([vector_D for vector_D, _ in found], axis=0))
            leave_out |= {item_id for _, ids in found for item_id in ids}
        if not parts:
            raise CallError("search_items: give a query or items to like")
        if len(parts) == 1 and not leave_out:
            return parts[0], leave_out
        return unit(np.sum(parts, axis=0)), leave_out

    def _query(self, arguments: Mapping[str, Any], situation: Situation) -> str:
        """The words; a category that the catalogue does not have becomes one of them."""
        query = text_argument("query", arguments["query"])
        word = arguments.get("category")
        if not word or self.catalogue.category(word := text_argument("category", word)):
            return query
        situation.notices.append(f"The catalogue has no category {word!r}.")
        return query if word in query else f"{query} {word}"

    def _category_of_change(self, change: str, like: set[str | None]) -> str | None:
        """The category that the words name, else the items' own: "in red" is not another kind.

        None where the items are of several kinds, or of one with few items.
        """
        named = self.catalogue.category_named_in(change)
        if named is not None:
            return named
        own = {self.catalogue.item(item_id).category for item_id in like if item_id}
        enough = 2 * self.num_items
        if len(own) == 1 and self.catalogue.num_in_category[category := own.pop()] >= enough:
            return category
        return None

    def _cheaper(self, listed: ItemList) -> float:
        """A price below most of a list's: its median, less a hundredth."""
        items = [self.catalogue.item(item_id) for item_id in listed.item_ids if item_id]
        prices = [item.price for item in items if item.price is not None]
        if not prices:
            raise CallError("cheaper_than: no price in that list is known")
        return float(np.median(prices)) - 0.01


def unit(vector_D: np.ndarray) -> np.ndarray:
    """The vector at norm 1; zeros stay zeros."""
    return vector_D / max(float(np.linalg.norm(vector_D)), 1e-12)


def blend(item_D: np.ndarray, change_D: np.ndarray, weight: float = 1.0) -> np.ndarray:
    """An item moved towards a text: the normalised sum.

    Args:
        item_D: Unit vector of the item.
        change_D: Unit vector of the text.
        weight: Of the text, >= 0; 0 leaves the item as it is.

    Returns:
        A unit vector of the same width.
    """
    return unit(item_D + weight * change_D)
