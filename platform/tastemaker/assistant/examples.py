"""What the page offers to start with: questions that this catalogue can answer, and some users."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow.compute as pc

from tastemaker.assistant.catalogue import Catalogue, Item

_NUM_USERS = 12
_LIKED = ("save", "click")


def suggestions(catalogue: Catalogue, *, num: int = 6) -> list[str]:
    """Questions made of the categories, colours and prices that the catalogue holds most of.

    Args:
        catalogue: What is asked about.
        num: How many, >= 1; fewer where the catalogue is small.

    Returns:
        The first is always answerable by a search.
    """
    pairs = Counter(
        (item.attributes["color"].lower(), item.category.lower())
        for item in catalogue.items
        if item.attributes.get("color") and item.category
    )
    questions: list[str] = []
    colors: set[str] = set()
    categories: set[str] = set()
    for (color, category), _ in sorted(pairs.items(), key=lambda row: (-row[1], row[0])):
        if color in colors or category in categories:
            continue
        colors.add(color)
        categories.add(category)
        of_these = [item for item in catalogue.items if item.category.lower() == category]
        questions.append(_question(len(questions), color, category, of_these))
        if len(questions) >= num - 1:
            break
    if not questions:
        questions = [f"show me {item.category.lower()}" for item in catalogue.items[:1]]
    return [*questions[:1], "something for me", *questions[1:]][:num]


def _question(place: int, color: str, category: str, items: list[Item]) -> str:
    prices = [item.price for item in items if item.price is not None]
    if place % 2 and prices:
        return f"{category} under {_rounded(float(np.median(prices)))}"
    plural = category.endswith("s") and not category.endswith("ss")
    article = "" if plural else "an " if color[0] in "aeiou" else "a "
    return f"show me {article}{color} {category}"


def _rounded(price: float) -> int:
    step = 5 if price < 100 else 50
    return max(step, round(price / step) * step)


def sample_users(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Some users of the dataset version, spread over all, with what they save most."""
    if "events" not in catalogue.dataset.tables:
        return []
    events = catalogue.dataset.read("events", ["user_id", "item_id", "action"])
    users = sorted(pc.unique(events["user_id"]).to_pylist())
    places = np.linspace(0, len(users) - 1, min(_NUM_USERS, len(users))).round().astype(int)
    chosen = [users[place] for place in places]
    here = pc.and_(
        pc.is_in(events["user_id"], pc.cast(chosen, events["user_id"].type)),
        pc.is_in(events["action"], pc.cast(list(_LIKED), events["action"].type)),
    )
    liked: dict[str, Counter[str]] = {user: Counter() for user in chosen}
    for row in events.filter(here).to_pylist():
        if row["item_id"] in catalogue.place:
            liked[row["user_id"]][catalogue.item(row["item_id"]).category] += 1
    return [
        {"user_id": user, "likes": [name for name, _ in liked[user].most_common(2)]}
        for user in chosen
    ]
