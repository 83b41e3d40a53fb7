"""A simulated user's side of a conversation: an agenda that answers what is shown.

Agenda-based, as in Schatzmann et al. 2007 and, for recommenders, Zhang and Balog 2020: the user
says what they want, looks at the list, takes or hides items, and reacts to the best item seen:
too dear, the wrong colour, nearly right, or off. No words here: an `Act` says what is meant, and
`jobs/simulated_speech.py` puts it into words. Pure: the same replies give the same acts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from tastemaker.evaluation.simulated_goals import Shop, Shopper

Ended = Literal["", "satisfied", "impatient", "turns", "error"]
Manner = Literal[
    "search", "recommend", "similar", "cheaper", "reprice", "recolor", "varied", "probe"
]
_NEARLY = 0.5  # fit of an item that is worth "more like this"
_DISLIKED = 0.2  # liking below which an item that was looked at may be hidden
_HIDES_FRAC = 0.15  # of those
_COLOR = "color"


@dataclass(frozen=True)
class Act:
    """What the user means to say.

    Attributes:
        manner: Kind of utterance.
        category: Of what is asked for, "" for any.
        values: Attribute values that are named, by key.
        max_price: Budget that is named.
        place: Place in the list last shown that is meant, from 1; 0 for none.
        title: Of a board that belongs to somebody else (probe).
    """

    manner: Manner
    category: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    max_price: float | None = None
    place: int = 0
    title: str = ""


@dataclass(frozen=True)
class Deed:
    """Something done with an item: save, closeup or hide."""

    row: int
    action: Literal["save", "closeup", "hide"]


@dataclass
class Conversation:
    """One user's state.

    Args:
        shop: The catalogue.
        shopper: Who they are.
        seed: Of the draws while talking; with the user's number and the turn.
        probe: Title of somebody else's board that the user asks for first, "" for none.
    """

    shop: Shop
    shopper: Shopper
    seed: int
    probe: str = ""

    def __post_init__(self) -> None:
        self.turn = 0  # turns that were answered
        self.barren = 0  # of these, the last ones in a row that gave nothing
        self.taken: list[int] = []
        self.hidden: set[int] = set()
        self.told = 1  # how many of the goal's values are named
        self.ended: Ended = ""

    @property
    def success(self) -> bool:
        """Whether the user has what they wanted."""
        return len(self.taken) >= self.shopper.goal.wanted

    def opening(self) -> Act:
        """The first thing said."""
        return Act("probe", title=self.probe) if self.probe else self._ask()

    def read(self, rows: Sequence[int]) -> tuple[list[Deed], Act | None]:
        """Look at a reply.

        Args:
            rows: Items shown, best first; empty where there are none.

        Returns:
            What the user does, and what they say next; None: they end the conversation.
        """
        if self.ended:
            raise ValueError(f"the conversation has ended: {self.ended}")
        rng = np.random.default_rng([self.seed, self.shopper.number, self.turn])
        turns_max = len(self.shopper.nature.looks_T)
        seen = self.shopper.nature.looks_at(rows, self.turn)
        self.turn += 1
        deeds = self._deeds(seen, rng)
        if self.probe:  # a test question: whatever the answer, what is wanted comes next
            self.probe = ""
            self.ended = "turns" if self.turn >= turns_max else ""
            return deeds, None if self.ended else self._ask()
        self.barren = 0 if any(deed.action == "save" for deed in deeds) else self.barren + 1
        if self.success:
            self.ended = "satisfied"
        elif self.barren >= self.shopper.nature.patience:
            self.ended = "impatient"
        elif self.turn >= turns_max:
            self.ended = "turns"
        return deeds, None if self.ended else self._react(rows, seen, rng)

    def fail(self) -> None:
        """The assistant gave an error instead of a reply: the user leaves."""
        self.ended = "error"

    def _deeds(self, seen: Sequence[int], rng: np.random.Generator) -> list[Deed]:
        shopper, deeds = self.shopper, list[Deed]()
        takes_N = shopper.nature.takes(shopper.utility_N)
        for row in seen:
            if takes_N[row] and row not in self.taken and not self.success:
                self.taken.append(row)
                deeds.append(Deed(row, "save"))
            elif shopper.fit_N[row] >= _NEARLY and row not in self.taken:
                deeds.append(Deed(row, "closeup"))
            elif self._dislikes(row) and rng.random() < _HIDES_FRAC:
                self.hidden.add(row)
                deeds.append(Deed(row, "hide"))
        return deeds

    def _dislikes(self, row: int) -> bool:
        known = row in self.hidden or row in self.taken
        return bool(self.shopper.liking_N[row] < _DISLIKED) and not known

    def _react(self, rows: Sequence[int], seen: Sequence[int], rng: np.random.Generator) -> Act:
        goal, fit_N = self.shopper.goal, self.shopper.fit_N
        if not seen:  # nothing was found: ask for less
            self.told = max(1, self.told - 1)
            return self._ask()
        best = max(seen, key=lambda row: float(fit_N[row]))
        place = list(rows).index(best) + 1
        if goal.max_price is not None and self.shop.prices_N[best] > goal.max_price:
            if rng.random() < 0.5:
                return Act("cheaper")
            return Act("reprice", max_price=goal.max_price)
        wanted = goal.values.get(_COLOR)
        inside = goal.category in ("", self.shop.categories[best])
        wrong = inside and wanted not in (None, self.shop.values[best].get(_COLOR))
        if wrong and rng.random() < 0.6:
            return Act("recolor", values={_COLOR: wanted or ""})
        if fit_N[best] >= _NEARLY and rng.random() < 0.6:
            return Act("similar", place=place, category=self.shop.categories[best])
        self.told += 1
        return self._ask(again=rng.random() < 0.3)

    def _ask(self, *, again: bool = False) -> Act:
        goal = self.shopper.goal
        if goal.kind == "taste":
            return Act("varied" if again else "recommend")
        values = dict(list(goal.values.items())[: self.told])
        return Act("search", goal.category, values, goal.max_price)
