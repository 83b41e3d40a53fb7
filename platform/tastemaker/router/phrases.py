"""Noun phrases: how goods are asked for, from their attributes, their titles or free words."""

import random
from dataclasses import dataclass

from tastemaker.router.lexicon import COLOR, PLACE_KEYS, Good, Lexicon, odd_word
from tastemaker.router.wordings import COMMON_WORDS

_EDGE = frozenset(  # never first or last in a phrase: where it begins and ends must be clear
    (
        "a", "an", "the", "some", "any", "one", "another", "your", "my", "our", "all", "this",
        "that", "these", "those", "of", "for", "in", "with", "and", "or", "to", "under",
        "below", "max", "up", "at", "on", "by", "from", "is", "are", "be", "it", "more", "like",
        "please", "thanks", "now", "today", "new"
    )
)  # fmt: skip
_JOINTS = {  # how a value is said after the noun
    COLOR: ("in", "in"),
    "material": ("in", "of", "made of"),
    "pattern": ("with",),
}
_VAGUE = ("something", "anything", "things", "stuff", "furniture", "decor", "gift", "present")
_ATTRIBUTES = "attributes"
_TITLE = "title"
_FREE = "free words"
KINDS = (_ATTRIBUTES, _TITLE, _FREE)


@dataclass(frozen=True)
class Shelf:
    """The items that phrases of one split are about.

    Attributes:
        lexicon: Words of the catalogue.
        test: Phrases hold held-out compositions; otherwise none does.
        mine: Rows of the split's items.
        bearing: Those among them with a held-out composition.
        plain_words: Words of the catalogue that can stand alone.
    """

    lexicon: Lexicon
    test: bool
    mine: tuple[int, ...]
    bearing: tuple[int, ...]
    plain_words: tuple[str, ...]


def make_shelf(lexicon: Lexicon, *, test: bool) -> Shelf:
    """The shelf of the test split, or the one of training and validation."""
    every = range(len(lexicon.goods))
    mine = [r for r in every if (lexicon.goods[r].split == "test") == test]
    return Shelf(
        lexicon=lexicon,
        test=test,
        mine=tuple(mine or every),
        bearing=tuple(r for r in mine if _heldout_keys(lexicon, lexicon.goods[r])),
        plain_words=tuple(w for w in lexicon.words if len(w) > 2 and w[0].isalpha()),
    )


class Phrases:
    """Draws noun phrases of one split.

    Args:
        shelf: What they are about.
        rng: Source of every draw.
        free_frac: Share of phrases that are not built from attributes.
        simple: Short phrases of attributes only, for tests.
    """

    def __init__(self, shelf: Shelf, rng: random.Random, *, free_frac: float, simple: bool) -> None:
        self.shelf, self.lexicon, self.rng = shelf, shelf.lexicon, rng
        self.test, self.free_frac, self.simple = shelf.test, free_frac, simple
        self.mine, self.bearing, self.plain_words = shelf.mine, shelf.bearing, shelf.plain_words

    def draw(self) -> tuple[str, str, int]:
        """A noun phrase.

        Returns:
            The phrase, which of `KINDS` it is, and the row of an item that it may fit.
        """
        for _ in range(50):
            phrase, kind, row = self._draw()
            if self._usable(phrase):
                return phrase, kind, row
        return self.rng.choice(COMMON_WORDS), _FREE, self.rng.choice(self.mine)

    def noun(self, row: int) -> str:
        """A noun for an item: one of its category's, else the last word of its title."""
        good = self.lexicon.goods[row]
        names = self.lexicon.nouns_of.get(good.category)
        if not names:
            return good.title[-1] if good.title else "item"
        if self.simple or self.rng.random() < 0.5:
            return good.category
        return self.rng.choice(names)

    def reference(self, row: int) -> str:
        """Words that tell an item of a list from the others: one or two of its values."""
        values = list(self.lexicon.goods[row].values.values())
        if not values or (not self.simple and self.rng.random() < 0.2):
            return self._free(1)
        count = 2 if len(values) > 1 and not self.simple and self.rng.random() < 0.3 else 1
        return " ".join(self.rng.sample(values, count))

    def color(self) -> str:
        """A colour of the catalogue, or a common word where it has none."""
        return self.rng.choice(self.lexicon.colors or COMMON_WORDS)

    def word(self) -> str:
        """A single free word."""
        return self._free(1)

    def allowed(self, phrase: str) -> bool:
        """Whether a phrase may stand in this split: training holds no held-out composition."""
        return self.test or not self.lexicon.pairs_in(phrase) & self.lexicon.heldout

    def bounded(self, phrase: str) -> bool:
        """Whether one hears where a phrase begins and ends."""
        words = phrase.split()
        return bool(words) and words[0] not in _EDGE and words[-1] not in _EDGE

    def _usable(self, phrase: str) -> bool:
        if phrase in self.lexicon.colors or not self.allowed(phrase):
            return False
        return self.bounded(phrase)

    def _draw(self) -> tuple[str, str, int]:
        if self.simple or self.rng.random() >= self.free_frac:
            rows = self.bearing if self.test and self.bearing else self.mine
            row = self.rng.choice(rows)
            return self._of_attributes(row), _ATTRIBUTES, row
        row = self.rng.choice(self.mine)
        if self.rng.random() < 0.4:
            return self._of_title(row), _TITLE, row
        if self.rng.random() < 0.2:
            return self._of_nothing_special(), _FREE, row
        phrase = self._free(self.rng.choice((1, 1, 2, 2, 3, 4)))
        if self.rng.random() < 0.5:
            phrase += " " + self.noun(row)
        return phrase, _FREE, row

    def _of_attributes(self, row: int) -> str:
        good = self.lexicon.goods[row]
        keys = list(good.values)
        chosen = self.rng.sample(keys, min(len(keys), self._count()))
        if self.test and (held := _heldout_keys(self.lexicon, good)):
            chosen = list(dict.fromkeys([self.rng.choice(held), *chosen]))[: max(1, len(chosen))]
        noun = self.noun(row)
        before = [good.values[key] for key in chosen]
        after = ""
        if chosen and not self.simple:
            key = chosen[-1]
            if key in PLACE_KEYS:
                before.pop()
                article = self.rng.choice(("the ", "my ", "a ", "our ", ""))
                after = f" for {article}{good.values[key]}"
            elif key in _JOINTS and self.rng.random() < 0.3:
                before.pop()
                joint = self.rng.choice(_JOINTS[key])
                after = f" {joint} {good.values[key]}"
        return " ".join([*before, noun]) + after

    def _count(self) -> int:
        if self.simple:
            return self.rng.choice((0, 1, 1, 2))
        return self.rng.choice((0, 1, 1, 1, 2, 2, 2, 3))

    def _of_title(self, row: int) -> str:
        title = [word for word in self.lexicon.goods[row].title if word[0].isalnum()]
        size = self.rng.randint(1, max(1, min(5, len(title))))
        start = self.rng.randint(0, max(0, len(title) - size))
        return " ".join(title[start : start + size])

    def _of_nothing_special(self) -> str:
        """A phrase like "something for my garden": no noun of the catalogue."""
        what = self.rng.choice(_VAGUE)
        before = self._free(1) + " " if what not in ("something", "anything") else ""
        joint = self.rng.choice(("for my", "for a", "for the", "for our", "with", "to put on my"))
        return f"{before}{what} {joint} {self._free(self.rng.choice((1, 1, 2)))}"

    def _free(self, count: int) -> str:
        words = []
        for _ in range(count):
            draw = self.rng.random()
            if draw < 0.55:
                words.append(self.rng.choice(COMMON_WORDS))
            elif draw < 0.85 and self.plain_words:
                words.append(self.rng.choice(self.plain_words))
            else:
                words.append(odd_word(self.rng, COMMON_WORDS))
        return " ".join(words)


def _heldout_keys(lexicon: Lexicon, good: Good) -> list[str]:
    values = good.values.items()
    return [key for key, value in values if (value, good.category) in lexicon.heldout]
