"""What a person can like about an item, read from any catalogue's items and boards.

Shape suffixes: N = items, M = neighbours of one item.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tastemaker.data.records import attributes

_MAX_VALUES = 80  # a key with more values names items rather than describing them
_MIN_ITEMS = 3  # that share a value
_MIN_HELD_FRAC = 0.3  # of the items, that must have the key
_LIKED_KEYS = 3
_LIKED_VALUES_FRAC = 0.2


@dataclass(frozen=True)
class Traits:
    """Items as their likeable sides.

    Attributes:
        item_ids: N ids, in the table's order.
        categories: Names of categories that enough items share.
        category_N: Place in `categories`, -1 for none.
        values_N: By attribute key, each item's value code, -1 for none.
        price_N: Log price in standard deviations from its category's mean; 0 where unknown.
        together: By item, the items that share a board with it.
        boards: Members of each board.
    """

    item_ids: list[str]
    categories: list[str]
    category_N: np.ndarray
    values_N: dict[str, np.ndarray]
    price_N: np.ndarray
    together: dict[int, np.ndarray]
    boards: list[np.ndarray]

    def liking(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a taste.

        Half of all tastes are those of a board's maker, so that what stands together on boards
        is liked together; the others are free combinations.

        Returns:
            (N,) float in [0, 1]: 1 where an item has a liked value for every key that counts.
        """
        keys = sorted(self.values_N)
        liked_N = np.zeros(len(self.item_ids))
        if not keys:
            return liked_N
        chosen = rng.choice(len(keys), size=min(_LIKED_KEYS, len(keys)), replace=False)
        weights = rng.dirichlet(np.full(len(chosen), 4.0))
        board = self.boards[rng.integers(len(self.boards))] if self.boards else np.empty(0, int)
        of_board = len(board) > 0 and rng.random() < 0.5
        for key, weight in zip(chosen, weights, strict=True):
            codes_N = self.values_N[keys[key]]
            counts = np.bincount(codes_N[codes_N >= 0])
            num_liked = max(1, round(_LIKED_VALUES_FRAC * len(counts)))
            odds = np.sqrt(counts)
            if of_board and (held := codes_N[board][codes_N[board] >= 0]).size:
                odds = np.bincount(held, minlength=len(counts)) ** 2 + 1e-6
            values = rng.choice(len(counts), size=num_liked, replace=False, p=odds / odds.sum())
            liked_N += weight * np.isin(codes_N, values)
        return liked_N


def item_traits(items: pa.Table, boards: pa.Table) -> Traits:
    """Read the traits; a catalogue may have any attributes, or none.

    Args:
        items: item_id, category, attributes and price are read.
        boards: The items column is read.
    """
    ids = items["item_id"].to_pylist()
    category_N, categories = _codes(items["category"].to_pylist())
    described = [attributes(text) for text in items["attributes"].to_pylist()]
    values_N = {}
    for key in sorted({key for row in described for key in row}):
        codes_N, names = _codes([row.get(key, "") for row in described])
        held_frac = float((codes_N >= 0).mean()) if len(codes_N) else 0.0
        if 2 <= len(names) <= _MAX_VALUES and held_frac >= _MIN_HELD_FRAC:
            values_N[key] = codes_N
    place = {item_id: i for i, item_id in enumerate(ids)}
    members = [
        np.array([place[name] for name in board if name in place], int)
        for board in boards["items"].to_pylist()
    ]
    neighbours: dict[int, set[int]] = defaultdict(set)
    for board_M in members:
        for item in board_M.tolist():
            neighbours[item] |= set(board_M.tolist()) - {item}
    return Traits(
        item_ids=ids,
        categories=categories,
        category_N=category_N,
        values_N=values_N,
        price_N=_price(items["price"].to_pylist(), category_N),
        together={item: np.array(sorted(found), int) for item, found in neighbours.items()},
        boards=members,
    )


def _codes(values: list[str]) -> tuple[np.ndarray, list[str]]:
    """Codes of values that enough rows share, -1 for the others."""
    counts = Counter(value for value in values if value)
    names = sorted(value for value, count in counts.items() if count >= _MIN_ITEMS)
    code = {name: i for i, name in enumerate(names)}
    return np.array([code.get(value, -1) for value in values], int), names


def _price(prices: list[float | None], category_N: np.ndarray) -> np.ndarray:
    log_N = np.array([np.log(price) if price else np.nan for price in prices])
    tier_N = np.zeros(len(log_N))
    for category in np.unique(category_N):
        here = (category_N == category) & ~np.isnan(log_N)
        if here.any():
            tier_N[here] = (log_N[here] - log_N[here].mean()) / (log_N[here].std() + 1e-6)
    return tier_N
