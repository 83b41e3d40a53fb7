"""What the features need of each item: category, style and vector, in memory."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tastemaker.data.dataset import Dataset
from tastemaker.data.records import attributes
from tastemaker.features.signals import Happened, History, session_embedding


@dataclass(frozen=True)
class ItemFacts:
    """The catalogue's side of the features.

    Attributes:
        item_ids: The catalogue.
        categories: Of each item, "" for none.
        styles: The attribute `style` of each item, "" for none.
        vectors_ND: Of each item, float32, unit norm.
        space: Encoder digest: the space of the vectors.
    """

    item_ids: tuple[str, ...]
    categories: tuple[str, ...]
    styles: tuple[str, ...]
    vectors_ND: np.ndarray
    space: str

    @cached_property
    def place(self) -> dict[str, int]:
        """Row of each item."""
        return {item_id: row for row, item_id in enumerate(self.item_ids)}

    def history(self, events: tuple[Happened, ...]) -> History:
        """Events with their items' categories and styles."""
        if not events:
            return History()
        times, items, actions = zip(*events, strict=True)
        rows = [self.place.get(item) for item in items]
        return History(
            items,
            actions,
            times,
            tuple("" if row is None else self.categories[row] for row in rows),
            tuple("" if row is None else self.styles[row] for row in rows),
        )

    def session_embedding(self, history: History) -> np.ndarray | None:
        """Of a session with these events."""
        rows = [self.place.get(item) for item in history.items]
        vectors = [None if row is None else self.vectors_ND[row] for row in rows]
        return session_embedding(vectors, history.actions)


def read_item_facts(dataset: Dataset, encoder: str) -> ItemFacts:
    """Read them from a dataset version.

    Raises:
        NotFound: The version holds no vectors of that encoder.
    """
    column = dataset.vector_column(encoder)
    table = dataset.read("items", ["item_id", "category", "attributes", column])
    return ItemFacts(
        item_ids=tuple(table["item_id"].to_pylist()),
        categories=tuple(table["category"].to_pylist()),
        styles=tuple(attributes(text).get("style", "") for text in table["attributes"].to_pylist()),
        vectors_ND=np.stack(table[column].to_numpy(zero_copy_only=False)).astype(np.float32),
        space=encoder,
    )
