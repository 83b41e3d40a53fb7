"""A catalogue of 24 items worked out by hand: lamps and chairs in colours and styles."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa

from tastemaker.data.records import BOARDS, EVENTS
from tastemaker.evaluation.simulated_behaviour import BehaviourConfig, Nature
from tastemaker.evaluation.simulated_goals import (
    Goal,
    GoalsConfig,
    Shop,
    Shopper,
    draw_shopper,
    open_shop,
)

KINDS = list(itertools.product(("lamp", "chair"), ("red", "blue", "green"), ("boho", "modern")))


def items() -> pa.Table:
    rows = [
        {
            "item_id": f"i{number:02d}",
            "category": category,
            "attributes": json.dumps({"color": color, "style": style}),
            "price": float(10 * (number + 1)),
        }
        for number, (category, color, style) in enumerate(KINDS * 2)
    ]
    return pa.Table.from_pylist(rows)


def shop(events: pa.Table | None = None) -> Shop:
    return open_shop(items(), BOARDS.empty_table(), events or EVENTS.empty_table())


def shopper(number: int = 0, seed: int = 3, **goals: float) -> Shopper:
    config = GoalsConfig.model_validate(goals)
    return draw_shopper(shop(), number, seed, config, BehaviourConfig())


def exact_shopper(goal: Goal, *, patience: int = 2, turns: int = 6, looks: int = 3) -> Shopper:
    """A user without noise who takes what has all wanted values, within the budget."""
    here = shop()
    fit_N = np.array(
        [
            (category == goal.category) * (1 + sum(v in goal.values.values() for v in own.values()))
            for category, own in zip(here.categories, here.values, strict=True)
        ],
        float,
    ) / (1 + len(goal.values))
    over_N = np.zeros(24, bool) if goal.max_price is None else here.prices_N > goal.max_price
    nature = Nature(np.zeros(24), np.full(turns, looks), patience, 0.9)
    drawn = shopper()
    return replace(
        drawn,
        goal=goal,
        nature=nature,
        liking_N=np.full(24, 0.5),
        fit_N=fit_N,
        utility_N=fit_N - over_N,
    )
