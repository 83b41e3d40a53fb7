"""Real sets for the calibration of the simulator: events to fit on, histories, held-out events.

Protocols as published with each set: ml1m and amazon-seq leave one out in time order, pinterest-cf
a random fifth of each user's pairs. Every choice is made on `val`; `test` is for the table.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

SETS = ("ml1m", "pinterest-cf", "beauty")
_VAL_FRAC = 0.1  # of a pinterest user's training pairs


@dataclass(frozen=True)
class RealSet:
    """One set in one split.

    Attributes:
        fit: By user, rows of the items that anything is fitted on.
        history: What a recommender may know when it is judged.
        held: What the user took next.
        num_items: Rows are below this.
        has_NA: 1 where an item has an attribute; None: the set has none.
    """

    fit: list[np.ndarray]
    history: list[np.ndarray]
    held: list[np.ndarray]
    num_items: int
    has_NA: np.ndarray | None


def load(name: str, split: str, root: Path) -> RealSet:
    """Read a set.

    Args:
        name: One of `SETS`.
        split: val or test.
        root: The folder with all sets.
    """
    if name == "pinterest-cf":
        return _pinterest(root / name, split)
    if name == "ml1m":
        lists = list(_lists(root / "ml1m" / "sas_sequences.txt.gz", base=1))
        genres = _genres(root / "ml1m" / "items.tsv.gz")
        return _in_time_order(lists, split, genres)
    lists = list(_lists(root / "amazon-seq" / "beauty.txt.gz", base=1))
    with gzip.open(root / "amazon-seq" / "beauty_item2attributes.json.gz", "rt") as file:
        text = file.read()
    named = {int(item) - 1: attributes for item, attributes in json.loads(text).items()}
    return _in_time_order(lists, split, named)


def _in_time_order(lists: list[np.ndarray], split: str, named: dict[int, list[int]]) -> RealSet:
    last = -1 if split == "test" else -2
    num_items = int(max(items.max() for items in lists)) + 1
    has_NA = np.zeros((num_items, 1 + max(max(a, default=0) for a in named.values())), np.float32)
    for item, attributes in named.items():
        if item < num_items:
            has_NA[item, attributes] = 1
    return RealSet(
        fit=[np.unique(items[:-2]) for items in lists],
        history=[items[:last] for items in lists],
        held=[items[last:][:1] for items in lists],
        num_items=num_items,
        has_NA=has_NA,
    )


def _pinterest(folder: Path, split: str) -> RealSet:
    train = list(_lists(folder / "train.txt.gz", base=0))
    test = list(_lists(folder / "test.txt.gz", base=0))
    num_items = int(max(max(items.max(initial=0) for items in lists) for lists in (train, test)))
    rng = np.random.default_rng(3)
    fit, val = [], []
    for items in train:
        mixed = rng.permutation(items)
        cut = max(1, round(_VAL_FRAC * len(items)))
        val.append(mixed[:cut])
        fit.append(mixed[cut:])
    history, held = (train, test) if split == "test" else (fit, val)
    return RealSet(fit, history, held, num_items + 1, None)


def _lists(path: Path, *, base: int) -> Iterator[np.ndarray]:
    with gzip.open(path, "rt") as lines:
        for line in lines:
            yield np.array(line.split()[1:], int) - base


def _genres(path: Path) -> dict[int, list[int]]:
    code: dict[str, int] = {}
    found = {}
    with gzip.open(path, "rt") as lines:
        next(lines)
        for line in lines:
            _, _, row, _, genres = line.rstrip("\n").split("\t")
            if row:
                names = genres.split("|")
                found[int(row) - 1] = [code.setdefault(name, len(code)) for name in names]
    return found
