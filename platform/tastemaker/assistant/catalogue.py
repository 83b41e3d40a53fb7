"""The live catalogue: what the assistant shows of an item, its picture and its vector.

What is shown of an item (title, price, category) and its vector are held in memory; pictures are
read from the dataset version's table one at a time.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np

from tastemaker.assistant.conversation import ItemList
from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset
from tastemaker.data.records import attributes
from tastemaker.promotion.environment import get_live

_COLUMNS = ("item_id", "title", "text", "category", "attributes", "price")
_MAX_NAME_WORDS = 4
_WORD = re.compile(r"[^\W_]{2,}")


@dataclass(frozen=True)
class Item:
    """An item as it is shown.

    Attributes:
        item_id: Its id.
        title: Its title.
        text: Its description, may be empty.
        category: Its category.
        attributes: Colour, material and the like.
        price: In the catalogue's currency; None where unknown.
    """

    item_id: str
    title: str
    text: str
    category: str
    attributes: dict[str, str]
    price: float | None

    @property
    def image_url(self) -> str:
        """Address of its picture, relative to the gateway."""
        return f"/items/{quote(self.item_id, safe='')}/image"


class Catalogue:
    """Items of one dataset version, with vectors of one space.

    Args:
        dataset: The version.
        space: The encoder bundle whose vectors are read.

    Raises:
        NotFound: The version holds no vectors of that space.
    """

    def __init__(self, dataset: Dataset, space: str) -> None:
        self.dataset, self.space = dataset, space
        column = dataset.vector_column(space)
        table = dataset.read("items", [*_COLUMNS, column])
        rows = table.select(list(_COLUMNS)).to_pylist()
        self.items = [Item(**{**row, "attributes": attributes(row["attributes"])}) for row in rows]
        self.place = {item.item_id: i for i, item in enumerate(self.items)}
        flat = table[column].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        self.vectors_ND = flat.reshape(len(self.items), -1).astype(np.float32)
        self.categories = {item.category.casefold(): item.category for item in self.items}
        self.num_in_category = Counter(item.category for item in self.items)
        self._table = dataset.open("items")

    @classmethod
    def live(cls, home: Home, environment: str) -> "Catalogue":
        """The catalogue that the live retrieval model searches, in the live encoder's space.

        Raises:
            NotFound: Nothing is live there, or the version lacks vectors of that space.
        """
        dataset = load_dataset(home, get_live(home, environment, "retrieval").dataset)
        return cls(dataset, get_live(home, environment, "encoder").bundle)

    def item(self, item_id: str) -> Item:
        """One item.

        Raises:
            NotFound: The catalogue has no such item.
        """
        if item_id not in self.place:
            raise NotFound(f"no item {item_id!r} in dataset version {self.dataset.digest}")
        return self.items[self.place[item_id]]

    def image(self, item_id: str) -> bytes:
        """The item's picture, JPEG.

        Raises:
            NotFound: The catalogue has no such item.
        """
        self.item(item_id)
        taken = self._table.take([self.place[item_id]], columns=["image"])
        picture: bytes = taken["image"][0].as_py()
        return picture

    def vectors(self, item_ids: Sequence[str]) -> np.ndarray:
        """Vectors (len(item_ids), D) of known items, float32, unit norm."""
        found_ND: np.ndarray = self.vectors_ND[[self.place[item_id] for item_id in item_ids]]
        return found_ND

    def describe(self, item_id: str) -> str:
        """A few words on an item, for a router that reads no vectors; "" for an unknown one."""
        if item_id not in self.place:
            return ""
        item = self.items[self.place[item_id]]
        price = "" if item.price is None else f"{item.price:g}"
        return "; ".join(part for part in (item.title, item.category, price) if part)

    def by_words(self, text: str, k: int) -> ItemList:
        """Items whose title, category and attributes hold the rarest words of a text.

        It needs no model: what is shown when the search itself is down.

        Args:
            text: A question; its words that the catalogue does not hold count nothing.
            k: How many, >= 1.

        Returns:
            Best first, fewer than k or none where few or no words are known.
        """
        scores: Counter[int] = Counter()
        for word in set(_words(text)):
            held = self._holding.get(word) or self._holding.get(word.removesuffix("s")) or []
            for place in held:
                scores[place] += np.log(len(self.items) / len(held)) + 0.01
        best = sorted(scores.items(), key=lambda row: (-row[1], row[0]))[:k]
        ids = tuple(self.items[place].item_id for place, _ in best)
        return ItemList(ids, self.vectors(ids), tuple(float(score) for _, score in best))

    @cached_property
    def _holding(self) -> dict[str, list[int]]:
        """Places of the items by each word that they hold."""
        holding: dict[str, list[int]] = defaultdict(list)
        for place, item in enumerate(self.items):
            text = " ".join([item.title, item.category, *item.attributes.values()])
            for word in set(_words(text)):
                holding[word].append(place)
        return dict(holding)

    def category(self, word: str) -> str | None:
        """The category that a word names, whatever its case and its plural; None for no such."""
        folded = word.strip().casefold()
        singular = (folded.removesuffix("es"), folded.removesuffix("s"))
        for form in (folded, *singular, f"{folded}s"):
            if form in self.categories:
                return self.categories[form]
        return None

    def category_named_in(self, text: str) -> str | None:
        """The category that the words of a text contain, the longest name first; None for none."""
        words = text.split()
        for length in range(min(_MAX_NAME_WORDS, len(words)), 0, -1):
            for start in range(len(words) - length + 1):
                if named := self.category(" ".join(words[start : start + length])):
                    return named
        return None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def shown(item: Item, score: float | None = None) -> dict[str, Any]:
    """What a reply says of an item."""
    return {
        "item_id": item.item_id,
        "title": item.title,
        "price": item.price,
        "category": item.category,
        "image_url": item.image_url,
        "score": None if score is None else round(score, 4),
    }
