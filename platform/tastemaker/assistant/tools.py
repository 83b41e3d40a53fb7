"""What the router can call, carried out: a call's arguments in, a list of items out.

A call has passed its tool's schema; handles are checked here against the conversation's lists.
Faults are `CallError`s, whose message goes back to the router. It names arguments only, never
item text.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.clients import Prediction, RequestRefused, Upstreams
from tastemaker.assistant.conversation import ItemList
from tastemaker.core.errors import TastemakerError
from tastemaker.router.messages import parse_handle

_MAX_QUERY_CHARS = 300
_CANDIDATES = 1000  # of the recommender, to know how an item that fits the words is liked
_FITTING = 50  # items that fit the words of a recommendation, before taste orders them
# Of the words against the item. On the demo catalogue, for 150 draws of an item and "in <colour>",
# 0.47 of the first ten had the colour at 0.7, 0.70 at 1, 0.89 at 1.5 (their likeness to the item:
# 0.60, 0.50, 0.41); chosen on those same draws.
_CHANGE_WEIGHT = 1.5


class CallError(TastemakerError, ValueError):
    """A tool call that cannot be carried out as it stands."""


@dataclass
class Situation:
    """What a call is made in.

    Attributes:
        lists: The lists of the conversation so far; `@1` is the first.
        user: Who is asked for: a recommender instance.
        prediction: What the recommender said of the user at the start of the turn, None for
            somebody of whom nothing is known.
        remaining_s: Seconds left for the turn.
        notices: Things that the user should be told; executors add to it.
    """

    lists: list[ItemList]
    user: Mapping[str, Any]
    prediction: Prediction | None
    remaining_s: Callable[[], float]
    notices: list[str] = field(default_factory=list)


class Tools:
    """The executors.

    Args:
        catalogue: Items and their vectors.
        upstreams: The model servers.
        num_items: Items of a list, >= 1.
    """

    def __init__(self, catalogue: Catalogue, upstreams: Upstreams, num_items: int) -> None:
        self.catalogue, self.upstreams, self.num_items = catalogue, upstreams, num_items

    async def execute(
        self, name: str, arguments: Mapping[str, Any], situation: Situation
    ) -> ItemList:
        """Carry out one call.

        Args:
            name: search_items, similar_items or recommend.
            arguments: As the router gave them.
            situation: The conversation's lists, the user and the time left.

        Returns:
            The items found, best first; may be empty.

        Raises:
            CallError: A handle out of range, an empty text, a user of whom nothing is known.
            ServiceDown: A server that the call needs is not available.
        """
        if name == "search_items":
            return await self._search(arguments, situation)
        if name == "similar_items":
            return await self._similar(arguments, situation)
        if name == "recommend":
            return await self._recommend(arguments, situation)
        raise CallError(f"{name!r} is not a tool that finds items")

    async def _search(self, arguments: Mapping[str, Any], situation: Situation) -> ItemList:
        query, category = _text("query", arguments["query"]), None
        if arguments.get("category"):
            word = _text("category", arguments["category"])
            category = self.catalogue.category(word)
            if category is None:
                query = query if word in query else f"{query} {word}"
                situation.notices.append(f"The catalogue has no category {word!r}.")
        max_price = arguments.get("max_price")
        if "cheaper_than" in arguments:
            below = self._cheaper(find_list(arguments["cheaper_than"], situation.lists))
            max_price = below if max_price is None else min(max_price, below)
        found = await self.upstreams.search(
            await self._embed(query, situation),
            k=self.num_items,
            timeout_s=situation.remaining_s(),
            category=category,
            max_price=max_price,
        )
        return self._list(found)

    async def _similar(self, arguments: Mapping[str, Any], situation: Situation) -> ItemList:
        like_D, leave_out = await self._resolve(arguments["item"], situation)
        category = None
        if arguments.get("query"):
            change = _text("query", arguments["query"])
            like_D = blend(like_D, await self._embed(change, situation), _CHANGE_WEIGHT)
            category = self._category_of_change(change, leave_out)
        found = await self.upstreams.search(
            like_D,
            k=self.num_items + len(leave_out),
            timeout_s=situation.remaining_s(),
            category=category,
        )
        return self._list([row for row in found if row[0] not in leave_out])

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

    async def _recommend(self, arguments: Mapping[str, Any], situation: Situation) -> ItemList:
        query, prediction = arguments.get("query"), situation.prediction
        if not query:
            if prediction is None:
                prediction = await self._predict(self.num_items, situation)
            return self._list(prediction.items)
        words = _text("query", query)
        fitting = await self.upstreams.search(
            await self._embed(words, situation),
            k=_FITTING,
            timeout_s=situation.remaining_s(),
            category=self.catalogue.category_named_in(words),
        )
        taste = dict((await self._predict(_CANDIDATES, situation)).items)
        return self._list(rank_by_text_and_taste(fitting, taste))

    async def _resolve(
        self, item: str | Mapping[str, str], situation: Situation
    ) -> tuple[np.ndarray, set[str | None]]:
        """Vector of what `item` names, and the ids that are like it trivially."""
        if isinstance(item, str):
            listed, place = find_list(item, situation.lists), parse_handle(item)[1]
        else:
            listed, ref = find_list(item["list"], situation.lists), _text("ref", item["ref"])
            ref_D = await self._embed(ref, situation)
            place = int(np.argmax(listed.vectors_ND @ ref_D)) + 1
        if place is None:
            mean_D = listed.vectors_ND.mean(0)
            return mean_D / max(float(np.linalg.norm(mean_D)), 1e-12), set(listed.item_ids)
        if place > len(listed):
            raise CallError(f"{item!r}: that list has items #1 to #{len(listed)}")
        return listed.vectors_ND[place - 1], {listed.item_ids[place - 1]}

    def _cheaper(self, listed: ItemList) -> float:
        """A price below most of a list's: its median, less a hundredth."""
        items = [self.catalogue.item(item_id) for item_id in listed.item_ids if item_id]
        prices = [item.price for item in items if item.price is not None]
        if not prices:
            raise CallError("cheaper_than: no price in that list is known")
        return float(np.median(prices)) - 0.01

    async def _embed(self, text: str, situation: Situation) -> np.ndarray:
        return await self.upstreams.embed({"text": text}, timeout_s=situation.remaining_s())

    async def _predict(self, k: int, situation: Situation) -> Prediction:
        try:
            return await self.upstreams.recommend(
                situation.user, k=k, timeout_s=situation.remaining_s()
            )
        except RequestRefused:
            raise CallError("recommend: nothing is known of this user; use search_items") from None

    def _list(self, found: Sequence[tuple[str, float]]) -> ItemList:
        known = [row for row in found if row[0] in self.catalogue.place][: self.num_items]
        ids = tuple(item_id for item_id, _ in known)
        return ItemList(ids, self.catalogue.vectors(ids), tuple(score for _, score in known))


def find_list(handle: str, lists: Sequence[ItemList]) -> ItemList:
    """The list that a handle like `@2` or `@2#3` points into.

    Raises:
        CallError: Not a handle, or no list of that number.
    """
    try:
        number, _ = parse_handle(handle)
    except ValueError as error:
        raise CallError(str(error)) from None
    if number > len(lists):
        held = f"@1 to @{len(lists)}" if lists else "none"
        raise CallError(f"{handle!r}: the lists of this conversation are: {held}")
    return lists[number - 1]


def blend(item_D: np.ndarray, change_D: np.ndarray, weight: float = 1.0) -> np.ndarray:
    """An item moved towards a text: the normalised sum.

    Args:
        item_D: Unit vector of the item.
        change_D: Unit vector of the text.
        weight: Of the text, >= 0; 0 leaves the item as it is.

    Returns:
        A unit vector of the same width.
    """
    moved_D = item_D + weight * change_D
    return moved_D / max(float(np.linalg.norm(moved_D)), 1e-12)


def rank_by_text_and_taste(
    fitting: Sequence[tuple[str, float]], taste: Mapping[str, float]
) -> list[tuple[str, float]]:
    """Order what fits a text by text and by taste, each counted in standard deviations.

    Args:
        fitting: (item id, similarity to the text).
        taste: Recommender score by item id; an item without one counts as the least liked.

    Returns:
        (item id, combined score), best first; equal ones keep their order.
    """
    if not fitting:
        return []
    least = min(taste.values(), default=0.0)
    liked = np.array([taste.get(item_id, least) for item_id, _ in fitting], np.float64)
    combined = _standard(np.array([score for _, score in fitting], np.float64)) + _standard(liked)
    order = np.argsort(-combined, kind="stable")
    return [(fitting[i][0], float(combined[i])) for i in order]


def _standard(values: np.ndarray) -> np.ndarray:
    spread = float(values.std())
    return (values - values.mean()) / spread if spread > 1e-9 else np.zeros_like(values)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise CallError(f"{name}={value!r} must be text")
    return value.strip()[:_MAX_QUERY_CHARS]
