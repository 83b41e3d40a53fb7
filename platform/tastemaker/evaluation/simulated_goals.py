"""Who a simulated user is: a latent taste, a goal that the catalogue can meet, a nature.

Tastes are those of the catalogue's simulated events (`data/item_traits.py`, weights of
`data/simulated_users.py`); what is added here is what the user wants today.

Shape suffixes: N = items, C = categories, D = embedding width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from tastemaker.core.config import Config
from tastemaker.core.errors import DataError
from tastemaker.data.item_traits import Traits, item_traits
from tastemaker.data.records import attributes
from tastemaker.data.simulated_users import UsersConfig
from tastemaker.evaluation.simulated_behaviour import BehaviourConfig, Nature, draw_nature

Kind = Literal["item", "style", "taste"]
_ROOM = 1.3  # what a budget leaves above the target's price
_NO_CATEGORY = 0.2  # fit of an item with the wanted values in another category
_MIN_ITEMS = 8
_WANTS = ("save", "click")


class GoalsConfig(Config):
    """What users want; shares are of the users."""

    style_frac: float = Field(default=0.25, ge=0, le=1)  # want a style, in any category
    taste_frac: float = Field(default=0.25, ge=0, le=1)  # want whatever suits them
    budget_frac: float = Field(default=0.3, ge=0, le=1)  # of the others: have a budget
    values_max: int = Field(default=2, ge=1)  # attributes of the item that is wanted
    wanted_max: int = Field(default=2, ge=1)  # items to take, 1 to this
    goal_weight: float = Field(default=0.7, ge=0, le=1)  # of fit in utility
    appeal_weight: float = Field(default=0.1, ge=0, le=1)  # of what others save; the rest is taste
    history: int = Field(default=6, ge=0)  # items that a user saved before the conversation

    @model_validator(mode="after")
    def _weights_leave_some_taste(self) -> Self:
        if self.goal_weight + self.appeal_weight > 1:
            raise ValueError(
                f"goal_weight {self.goal_weight} and appeal_weight {self.appeal_weight} are "
                "more than 1 together"
            )
        return self


@dataclass(frozen=True)
class Shop:
    """What users know of the catalogue; rows are those of the items table.

    Attributes:
        traits: The likeable sides of the items.
        categories, values: Of each item, as the catalogue writes them.
        prices_N: NaN where unknown.
        appeal_N: Share of the items that are saved or clicked less often; 0 without events.
        place: Row by item id.
    """

    traits: Traits
    categories: Sequence[str]
    values: Sequence[Mapping[str, str]]
    prices_N: np.ndarray
    appeal_N: np.ndarray
    place: Mapping[str, int]


@dataclass(frozen=True)
class Goal:
    """What a user wants today.

    Attributes:
        kind: item (a category and values), style (values in any category), taste.
        category: "" for any.
        values: Attribute values, each of which counts.
        max_price: Budget, None for none.
        wanted: Items to take.
    """

    kind: Kind
    category: str
    values: Mapping[str, str]
    max_price: float | None
    wanted: int


@dataclass(frozen=True)
class Shopper:
    """A user.

    Attributes:
        number: Of the user, from 0: with the seed it says everything else.
        goal: What they want.
        nature: Attention, opinions, patience.
        liking_N: Taste, 0 to 1.
        fit_N: How far each item is what is wanted, 0 to 1; an item over budget keeps its fit.
        utility_N: What counts when they take an item.
        history: Rows saved before, oldest first.
    """

    number: int
    goal: Goal
    nature: Nature
    liking_N: np.ndarray
    fit_N: np.ndarray
    utility_N: np.ndarray
    history: tuple[int, ...]


def open_shop(items: pa.Table, boards: pa.Table, events: pa.Table) -> Shop:
    """Read the catalogue.

    Args:
        items: item_id, category, attributes and price.
        boards: Of all but the test split; makers' tastes are drawn from them.
        events: item_id and action; what many save has something that tastes do not say.

    Raises:
        DataError: Too few items.
    """
    if len(items) < _MIN_ITEMS:
        raise DataError(f"simulated users need {_MIN_ITEMS} items, this dataset has {len(items)}")
    prices = [np.nan if price is None else price for price in items["price"].to_pylist()]
    ids = items["item_id"].to_pylist()
    place = {item_id: row for row, item_id in enumerate(ids)}
    return Shop(
        traits=item_traits(items, boards),
        categories=items["category"].to_pylist(),
        values=[attributes(text) for text in items["attributes"].to_pylist()],
        prices_N=np.array(prices, float),
        appeal_N=_appeal(events, place),
        place=place,
    )


def draw_shopper(
    shop: Shop, number: int, seed: int, goals: GoalsConfig, behaviour: BehaviourConfig
) -> Shopper:
    """Draw a user; the same arguments give the same one.

    The goal is read off an item that the user would like, so that the catalogue can meet it:
    at least `goal.wanted` items are ones that this user takes when they see them.
    """
    rng = np.random.default_rng([seed, number])
    usual, traits = UsersConfig(), shop.traits
    liking_N = traits.liking(rng)
    away_N = np.minimum(np.abs(traits.price_N - rng.standard_normal()), 3.0)
    weight_N = np.exp(usual.taste * liking_N - usual.price * away_N)
    if traits.categories:
        category_C = rng.dirichlet(np.full(len(traits.categories), 0.25))
        weight_N = weight_N * np.where(
            traits.category_N >= 0, category_C[traits.category_N] + 1e-6, 1e-6
        )
    odds_N = weight_N / weight_N.sum()
    target = int(rng.choice(len(odds_N), p=odds_N))
    goal = _draw_goal(shop, target, goals, rng)
    fit_N = _fit(shop, goal, liking_N)
    taste_weight = 1 - goals.goal_weight - goals.appeal_weight
    utility_N = goals.goal_weight * fit_N + taste_weight * liking_N
    utility_N = utility_N + goals.appeal_weight * shop.appeal_N
    if goal.max_price is not None:
        utility_N = np.where(shop.prices_N <= goal.max_price, utility_N, utility_N - 1.0)
    nature = draw_nature(behaviour, len(odds_N), rng)
    nature.opinion_N[target] = max(nature.opinion_N[target], 1.0)  # they would take the target
    could = int(nature.takes(utility_N).sum())
    saved = rng.choice(len(odds_N), min(goals.history, (odds_N > 0).sum()), False, p=odds_N)
    return Shopper(
        number=number,
        goal=Goal(goal.kind, goal.category, goal.values, goal.max_price, min(goal.wanted, could)),
        nature=nature,
        liking_N=liking_N,
        fit_N=fit_N,
        utility_N=utility_N,
        history=tuple(int(row) for row in saved if row != target),
    )


def _appeal(events: pa.Table, place: Mapping[str, int]) -> np.ndarray:
    counts_N = np.zeros(len(place))
    for item_id, action in zip(
        events["item_id"].to_pylist(), events["action"].to_pylist(), strict=True
    ):
        if action in _WANTS and item_id in place:
            counts_N[place[item_id]] += 1
    return np.searchsorted(np.sort(counts_N), counts_N, side="left") / len(place)


def _draw_goal(shop: Shop, target: int, goals: GoalsConfig, rng: np.random.Generator) -> Goal:
    draw, wanted = rng.random(), int(rng.integers(1, goals.wanted_max + 1))
    named = [key for key in shop.traits.values_N if shop.values[target].get(key)]
    if draw < goals.taste_frac or not (named or shop.categories[target]):
        return Goal("taste", "", {}, None, wanted)
    rng.shuffle(named)
    if draw < goals.taste_frac + goals.style_frac and named:
        key = "style" if "style" in named else named[0]
        return Goal("style", "", {key: shop.values[target][key]}, None, wanted)
    count = int(rng.integers(1, goals.values_max + 1))
    values = {key: shop.values[target][key] for key in named[:count]}
    price = shop.prices_N[target]
    budget = rng.random() < goals.budget_frac and not np.isnan(price)
    max_price = float(np.ceil(price * _ROOM)) if budget else None
    return Goal("item", shop.categories[target], values, max_price, wanted)


def _fit(shop: Shop, goal: Goal, liking_N: np.ndarray) -> np.ndarray:
    if goal.kind == "taste":
        best = float(np.quantile(liking_N, 0.95))
        return np.minimum(liking_N / max(best, 1e-9), 1.0)
    wanted = goal.values.items()
    has_N = np.array([sum(own.get(k) == v for k, v in wanted) for own in shop.values], float)
    if not goal.category:
        return has_N / len(wanted)
    inside_N = np.array([category == goal.category for category in shop.categories])
    fit_N: np.ndarray = np.where(
        inside_N, (1 + has_N) / (1 + len(wanted)), _NO_CATEGORY * has_N / max(len(wanted), 1)
    )
    return fit_N
