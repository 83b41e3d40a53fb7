"""Themed boards for catalogues that have none: items that share two attributes."""

import random
from collections import Counter, defaultdict

import pyarrow as pa

from tastemaker.data.records import RawBoard, attributes

_MIN_ITEMS, _MAX_ITEMS = 4, 12
_MAX_VALUES = 40  # a key with more values names items rather than describing them
_MIN_SHARE_FRAC = 0.3  # of the items, that must have the key


def themed_boards(items: pa.Table, num_boards: int, *, seed: int = 7) -> tuple[RawBoard, ...]:
    """Boards titled like "Blue Summer": a sample of the items that share both values.

    Args:
        items: A curated items table.
        num_boards: At most so many; fewer where the attributes do not give them.
        seed: Of the choice of themes and items.

    Returns:
        Boards without a split of their own.
    """
    rng = random.Random(seed)
    described = _described(items)
    members: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item_id, values in described.items():
        keys = sorted(values)
        for n, first in enumerate(keys):
            for second in keys[n + 1 :]:
                members[(f"{first}={values[first]}", f"{second}={values[second]}")].append(item_id)
    themes = [theme for theme in sorted(members) if len(members[theme]) >= _MIN_ITEMS]
    rng.shuffle(themes)
    boards = []
    for n in range(num_boards if themes else 0):
        theme = themes[n % len(themes)]
        if n >= len(themes) and len(members[theme]) < 2 * _MAX_ITEMS:
            continue  # a second board of a small theme would repeat the first
        size = min(rng.randint(_MIN_ITEMS, _MAX_ITEMS), len(members[theme]))
        title = " ".join(part.partition("=")[2] for part in theme).capitalize()
        chosen = tuple(rng.sample(members[theme], size))
        boards.append(RawBoard(f"themed-{n:04d}", title, chosen, " ".join(theme)))
    return tuple(boards)


def _described(items: pa.Table) -> dict[str, dict[str, str]]:
    rows = {}
    for row in items.select(["item_id", "category", "attributes"]).to_pylist():
        values = attributes(row["attributes"])
        rows[row["item_id"]] = values | ({"category": row["category"]} if row["category"] else {})
    held = Counter(key for values in rows.values() for key in values)
    distinct = {key: len({v[key] for v in rows.values() if key in v}) for key in held}
    good = {
        key
        for key in held
        if 2 <= distinct[key] <= _MAX_VALUES and held[key] >= _MIN_SHARE_FRAC * len(rows)
    }
    return {name: {k: v for k, v in values.items() if k in good} for name, values in rows.items()}
