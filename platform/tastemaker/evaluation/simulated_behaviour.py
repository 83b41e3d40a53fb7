"""How a simulated user meets a list: what they look at, what they take, when they have enough.

One model for whole conversations and for the calibration on real data sets. All chance is drawn
once a user, before anything is shown: the same user meets two systems with the same opinions, the
same attention and the same patience, so that a difference is the systems' (common random numbers).

- Attention goes down the list and stops after each item with a fixed chance: the user model of
  rank-biased precision (Moffat and Zobel 2008, persistence 0.8).
- An item is taken where its utility and the user's own opinion of it (logistic noise, fixed for
  user and item) exceed a threshold: a random utility model (McFadden 1974).
- A user leaves after a number of turns in a row that gave nothing; the number is geometric, as in
  models where going on depends on what was found (Moffat, Bailey, Scholer and Thomas 2017).

The sources give the forms; numbers without one are ours.

Shape suffixes: N = items, K = items of a shown list, T = turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from tastemaker.core.config import Config


class BehaviourConfig(Config):
    """Attention, taking and patience; utilities are fractions: 1 is all that the user wants."""

    look_on_frac: float = Field(default=0.8, ge=0, lt=1)  # chance to look at the next item too
    look_min: int = Field(default=2, ge=1)  # items that everybody looks at
    take_utility: float = Field(default=0.75, gt=0)  # at which half of the users take an item
    opinion: float = Field(default=0.05, gt=0)  # scale of the logistic noise, in utility
    patience_turns: float = Field(default=3, ge=1)  # mean of turns in a row that give nothing
    turns_max: int = Field(default=8, ge=1, le=50)  # of a conversation


@dataclass(frozen=True)
class Nature:
    """What chance made of one user.

    Attributes:
        opinion_N: What the user sees in each item besides its utility.
        looks_T: How many items of a list the user looks at, by turn.
        patience: Turns in a row that may give nothing.
        take_utility: What utility and opinion must exceed.
    """

    opinion_N: np.ndarray
    looks_T: np.ndarray
    patience: int
    take_utility: float

    def takes(self, utility_N: np.ndarray) -> np.ndarray:
        """Which items the user would take if they saw them, (N,) bool."""
        taken: np.ndarray = utility_N + self.opinion_N > self.take_utility
        return taken

    def looks_at(self, shown: Sequence[int], turn: int) -> tuple[int, ...]:
        """The rows of a list, best first, that the user gets to in a turn (from 0)."""
        return tuple(shown[: int(self.looks_T[turn])])


def draw_nature(config: BehaviourConfig, num_items: int, rng: np.random.Generator) -> Nature:
    """Draw a user's nature.

    Args:
        config: The model's numbers.
        num_items: N.
        rng: Source of every draw; the user's own.
    """
    extra_T = rng.geometric(1 - config.look_on_frac, config.turns_max) - 1
    return Nature(
        opinion_N=rng.logistic(0.0, config.opinion, num_items),
        looks_T=config.look_min + extra_T,
        patience=int(rng.geometric(1 / config.patience_turns)),
        take_utility=config.take_utility,
    )
