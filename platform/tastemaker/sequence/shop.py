"""A user model over the items of another dataset version than its own, as it would serve there."""

from collections.abc import Sequence

import numpy as np

from tastemaker.sequence.histories import History
from tastemaker.sequence.recommender import Recommender


class Shop:
    """A model knows nothing of items newer than itself, and must not offer those that are gone.

    Args:
        recommender: The model with its own items.
        items: Item ids of the dataset version.

    Attributes:
        item_ids: The model's items in its order, then those that it does not know.
        num_known: Number of the model's items.
        gone: Rows of the model's items that the dataset version does not hold.
    """

    def __init__(self, recommender: Recommender, items: Sequence[str]) -> None:
        self.recommender = recommender
        self.num_known = len(recommender.item_ids)
        new = [item for item in items if item not in recommender.row_of]
        self.item_ids = [*recommender.item_ids, *new]
        there = set(items)
        gone = [row for row, item in enumerate(recommender.item_ids) if item not in there]
        self.gone = np.array(gone, np.int64)

    def read(self, history: History) -> History:
        """A history without the items that the model does not know."""
        known = history.items < self.num_known
        return History(history.user_id, history.items[known], history.actions[known])
