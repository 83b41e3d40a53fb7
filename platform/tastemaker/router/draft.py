"""A dialogue while it is written: its turns so far, its lists, and the parts that turns share."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tastemaker.router import kinds, sentences
from tastemaker.router.config import DialoguesConfig
from tastemaker.router.dialogue_files import Turn
from tastemaker.router.phrases import Phrases, Shelf
from tastemaker.router.tools import ANSWER, BOARD_GET, BOARD_SAVE, RECOMMEND, SIMILAR
from tastemaker.router.wordings import Wordings

Rows = tuple[int, ...]

SORRY = {  # what is said after a fault of a tool; FAILED after any other's
    BOARD_GET: sentences.NO_BOARD,
    BOARD_SAVE: sentences.NOT_SAVED,
    RECOMMEND: sentences.UNKNOWN_TASTE,
}
_NOTHING_FRAC = 0.04  # of calls find nothing
_FAULT_FRAC = 0.025  # of calls fail
_FAULTS_OF_FRAC = 0.08  # of those that need a user, who may be unknown
_SHORT_FRAC = 0.3  # of turns say "what's" for "what is"
_UNSEEN_FRAC = 0.15  # of test wordings, where there are unseen ones


@dataclass(frozen=True)
class Stock:
    """What dialogues are about.

    Attributes:
        shelves: Words for the items: those of training and validation, and those of test.
        near_NK: Rows of each item's nearest neighbours, itself first.
        boards: Item rows of each board, by split.
        num_users: Rows of user embeddings, 0 for none.
    """

    shelves: tuple[Shelf, Shelf]
    near_NK: np.ndarray
    boards: dict[str, Sequence[Rows]]
    num_users: int


class Draft:
    """The turns written so far.

    Args:
        stock: What the dialogue is about.
        config: Sizes and shares.
        split: train, val or test.
        rng: Source of every draw.

    Attributes:
        lists: Item rows by the number of the list's handle.
        searched: Arguments of the search last shown, None where something else is.
        picture: Number of the picture last brought, 0 for none.
        over: A call failed: the dialogue ends, as later turns are not shown faults.
    """

    def __init__(
        self, stock: Stock, config: DialoguesConfig, split: str, rng: random.Random
    ) -> None:
        test = split == "test"
        self.stock, self.config, self.rng, self.split = stock, config, rng, split
        self.words = Wordings(rng, simple=config.simple, unseen_frac=_UNSEEN_FRAC if test else 0.0)
        self.lexicon = stock.shelves[test].lexicon
        self.phrases = Phrases(
            stock.shelves[test], rng, free_frac=config.free_words_frac, simple=config.simple
        )
        self.turns: list[Turn] = []
        self.lists: dict[int, Rows] = {}
        self.searched: dict[str, Any] | None = None
        self.picture = 0
        self.over = False

    # What the user says

    def say(self, text: str, brought: Rows = (), *, plain: bool = False) -> None:
        """A user turn, with the items that come with it; `plain` adds no polite words."""
        if text and not plain:
            if not self.config.simple and self.rng.random() < 0.15:
                text = f"{self.words.draw('first_words')} {text}"
            if self.rng.random() < 0.25:
                text = f"{text} {self.words.draw('last_words')}"
            if self.rng.random() < 0.3:
                text = text.replace(" ,", "")
        text = f" {' '.join(text.split())} "
        if not self.config.simple and self.rng.random() < _SHORT_FRAC:
            for pair in self.words.lists["short_forms"]:
                full, _, short = pair.partition(" : ")
                text = text.replace(f" {full} ", f" {short} ")
        lists = ((self.add_list(brought), brought),) if brought else ()
        self.turns.append(Turn("user", text.strip(), lists))

    def place(self, size: int) -> tuple[int, str]:
        """A place in a list of `size` items, from 1, and how it is said."""
        noun = self.phrases.noun(self.rng.choice(self.phrases.mine))
        if self.rng.random() < 0.2:
            return size, self.words.draw("last", noun=noun)
        place = self.rng.randint(1, size)
        ordinals = self.words.lists["ordinals" if self.rng.random() < 0.8 else "short_ordinals"]
        for _ in range(20):
            pattern = self.rng.choice(self.words.lists["its"])
            if "{nth}" not in pattern or place <= len(ordinals):
                break
        nth = ordinals[place - 1] if place <= len(ordinals) else str(place)
        one = pattern.replace("{nth}", nth).replace("{n}", str(place)).replace("{noun}", noun)
        return place, self.words.fill(one)

    def article(self, phrase: str) -> str:
        """An article, or none, before a noun phrase."""
        article: str = self.rng.choice(self.words.lists["articles"])
        return "an" if article == "a" and phrase[0] in "aeiou" else article

    def number(self) -> int:
        """A price."""
        draw = self.rng.random()
        if self.config.simple or draw < 0.5:
            return self.rng.choice((5, 10, 25, 50)) * self.rng.randint(1, 20)
        return self.rng.randint(1, 999) if draw < 0.85 else self.rng.randint(1, 99) * 100

    def change(self) -> str:
        """How something should be other than it is: "in green"."""
        change = self.rng.choice(("in {c}", "in {c}", "with {w}", "for the {w}", "in {w}"))
        return change.format(c=self.phrases.color(), w=self.phrases.word())

    # What the router does

    def call(
        self, name: str, arguments: dict[str, Any], kind: str, rows: Sequence[int], told: str = ""
    ) -> int:
        """A call and its result; returns the list's number, 0 where nothing is found.

        Args:
            name: Of the tool.
            arguments: The call's.
            kind: What it is an answer to.
            rows: What it finds; none for a result in words.
            told: These words.
        """
        unseen, self.words.drew_unseen = self.words.drew_unseen, False
        self.turns.append(
            Turn("assistant", name=name, arguments=arguments, kind=kind, unseen=unseen)
        )
        if not self.over and self._fails(name):
            self.over = True
            what = self.words.draw("faults", tool=name, w=self.phrases.word())
            self.turns.append(Turn("tool", text=f"error: {what}"))
            return 0
        if not rows or self.rng.random() < _NOTHING_FRAC:
            self.turns.append(Turn("tool", text=told))
            return 0
        number = self.add_list(rows)
        self.turns.append(Turn("tool", lists=((number, tuple(rows)),)))
        return number

    def like(self, item: Any, row: int, kind: str, query: str = "") -> None:
        """The call for what is like an item, and the answer."""
        arguments = {"item": item} | ({"query": query} if query else {})
        shown = self.call(SIMILAR, arguments, kind, self.near(row))
        self.searched = None
        self.show(sentences.CLOSE, shown)

    def show(self, text: str, shown: int, nothing: str = sentences.NOTHING_FITS) -> None:
        """The answer with a list, or that there is none."""
        if shown:
            return self.answer(text, shown)
        if self.over:
            sorry = SORRY.get(self.turns[-2].name, sentences.FAILED)
            return self.answer(sorry, 0, kinds.FAULT)
        self.searched = None
        self.answer(nothing, 0)

    def answer(self, text: str, shown: int, kind: str = kinds.SHOWN) -> None:
        """The answer, which ends the router's part."""
        arguments = {"text": text} | ({"items": f"@{shown}"} if shown else {})
        self.turns.append(Turn("assistant", name=ANSWER, arguments=arguments, kind=kind))

    def _fails(self, name: str) -> bool:
        frac = _FAULTS_OF_FRAC if name in SORRY else _FAULT_FRAC
        return not self.config.simple and self.rng.random() < frac

    # Lists

    @property
    def last(self) -> int:
        """Number of the newest list."""
        return max(self.lists)

    def add_list(self, rows: Sequence[int]) -> int:
        """Number of a new list."""
        number = len(self.lists) + 1
        self.lists[number] = tuple(rows)
        return number

    def near(self, row: int, size: int = 0) -> Rows:
        """A result list about an item: mostly of the usual length, its order a little mixed."""
        usual, draw = self.config.list_items, self.rng.random()
        if not size:
            size = usual if draw < 0.55 else self.rng.randint(1, usual)
            size = size if draw < 0.9 else self.rng.randint(1, 2 * usual)
        rows = self.stock.near_NK[row][: 2 * size].tolist()
        self.rng.shuffle(rows)
        return tuple(rows[:size])

    def any_row(self) -> int:
        """An item of the split."""
        return self.rng.choice(self.phrases.mine)
