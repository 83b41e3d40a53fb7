"""What people call the catalogue's goods: nouns, attribute values, free words, compositions.

Works on any catalogue: attributes and prices may be missing, categories may be plural.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tastemaker.core import digests
from tastemaker.data.records import attributes
from tastemaker.router.tokenizer import canonical, split_words

_MIN_ITEMS = 3  # that a title's last word must share to be a noun
_MIN_CATEGORY = 5  # items of a category that is named in calls
_PURE_FRAC = 0.9  # of these in one category
_MAX_VALUES = 80  # a key with more values names items rather than describing them
_ENDS_HEAD = frozenset(
    ("for", "in", "with", "made", "from", "to", "of", "like", "that", "which", "under", "below")
)
COLOR = "color"
PLACE_KEYS = ("room", "usage")  # said after the noun: "for the bedroom"

_SUFFIXES = ("s", "es", "ed", "er", "ish", "y", "ing", "ette", "'s", "-like", "land", "o")

Pair = tuple[str, str]  # attribute value, category


@dataclass(frozen=True)
class Good:
    """An item as it can be spoken of.

    Attributes:
        title: Words of its title.
        category: Lower case, "" where it has none.
        values: Attribute value by key, lower case.
        split: train, val or test.
    """

    title: tuple[str, ...]
    category: str
    values: Mapping[str, str]
    split: str


@dataclass(frozen=True)
class Lexicon:
    """Words for the goods of one catalogue.

    Attributes:
        goods: In the order of the items table.
        nouns: Words (joined by a space) to category.
        nouns_of: Category to its nouns.
        colors: Values of the key `color`.
        value_words: All words and phrases that are attribute values.
        heldout: Compositions kept for the test split.
        words: Every word of titles, categories and attributes.
    """

    goods: tuple[Good, ...]
    nouns: Mapping[str, str]
    nouns_of: Mapping[str, tuple[str, ...]]
    colors: tuple[str, ...]
    value_words: frozenset[str]
    heldout: frozenset[Pair]
    words: tuple[str, ...]

    def category_of(self, phrase: str) -> str:
        """Category that a noun phrase names, "" for none: its head ends with a known noun."""
        head = head_of(phrase)
        for start in range(len(head)):
            found = self.nouns.get(" ".join(head[start:]))
            if found:
                return found
        return ""

    def pairs_in(self, phrase: str) -> set[Pair]:
        """Compositions of an attribute value and a category that a phrase names."""
        category = self.category_of(phrase)
        if not category:
            return set()
        words = phrase.split()
        spans = {" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, i + 4)}
        return {(value, category) for value in spans & self.value_words}


def head_of(phrase: str) -> list[str]:
    """The words of a noun phrase before its first preposition."""
    words = phrase.split()
    ends = [i for i, word in enumerate(words) if word in _ENDS_HEAD]
    return words[: ends[0]] if ends else words


def read_lexicon(items: Sequence[Mapping[str, Any]], *, heldout_frac: float) -> Lexicon:
    """Read the words of a catalogue.

    Args:
        items: Rows with title, category, attributes and split.
        heldout_frac: Share of the compositions to hold out, where the catalogue's own split
            does not hold out that many.
    """
    goods = tuple(_good(row) for row in items)
    distinct: dict[str, set[str]] = defaultdict(set)
    for good in goods:
        for key, value in good.values.items():
            distinct[key].add(value)
    kept = {key for key, values in distinct.items() if 2 <= len(values) <= _MAX_VALUES}
    goods = tuple(
        Good(g.title, g.category, {k: v for k, v in sorted(g.values.items()) if k in kept}, g.split)
        for g in goods
    )
    value_words = frozenset(value for g in goods for value in g.values.values())
    nouns = _nouns(goods, value_words)
    nouns_of: dict[str, list[str]] = defaultdict(list)
    for noun, category in nouns.items():
        nouns_of[category].append(noun)
    colors = sorted({g.values[COLOR] for g in goods if COLOR in g.values})
    words = {w for g in goods for w in g.title}
    words |= {w for text in (*nouns, *value_words) for w in text.split()}
    return Lexicon(
        goods=goods,
        nouns=nouns,
        nouns_of={category: tuple(found) for category, found in nouns_of.items()},
        colors=tuple(colors),
        value_words=value_words,
        heldout=_heldout(goods, heldout_frac),
        words=tuple(sorted(words)),
    )


def plural(noun: str) -> str:
    """The plural of a noun, by the simple rules."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2:-1] not in set("aeiou"):
        return noun[:-1] + "ies"
    if noun.endswith("lf"):
        return noun[:-1] + "ves"
    return noun + "s"


def odd_word(rng: random.Random, words: Sequence[str]) -> str:
    """A word that the vocabulary does not hold whole, for practice in copying pieces.

    Args:
        rng: Source of the draw.
        words: Known ones, half of the odd words are derived from.
    """
    if words and rng.random() < 0.5:
        return rng.choice(words) + rng.choice(_SUFFIXES)
    syllables = (
        rng.choice("bcdfghklmnprstvwz") + rng.choice("aeiou") + rng.choice(["", "n", "r", "l", "x"])
        for _ in range(rng.randint(2, 4))
    )
    return "".join(syllables)


def _good(row: Mapping[str, Any]) -> Good:
    values = {key: canonical(value) for key, value in attributes(row["attributes"]).items()}
    return Good(
        title=tuple(split_words(row["title"])),
        category=canonical(row["category"]),
        values={key: value for key, value in values.items() if value},
        split=row["split"],
    )


def _nouns(goods: Sequence[Good], value_words: frozenset[str]) -> dict[str, str]:
    """Category names, their other number, and last words of titles that name one category."""
    nouns: dict[str, str] = {}
    sizes = Counter(good.category for good in goods)
    named = {c for c, n in sizes.items() if n >= _MIN_CATEGORY and _is_plain(c)}
    ends: dict[str, Counter[str]] = defaultdict(Counter)
    for good in goods:
        if good.category in named and good.title:
            ends[good.title[-1]][good.category] += 1
            ends[" ".join(good.title[-2:])][good.category] += 1
    for end, counts in ends.items():
        words = end.split()
        category, most = counts.most_common(1)[0]
        described = end in value_words or (len(words) > 1 and words[0] in value_words)
        if described or not _is_plain(end):
            continue
        if counts.total() >= _MIN_ITEMS and most >= _PURE_FRAC * counts.total():
            nouns[end] = category
            if not end.endswith("s"):
                nouns[plural(end)] = category
    for category in sorted(named):
        nouns[category] = category
        singular = category[:-1] if category.endswith("s") else category
        nouns[singular] = category
        nouns[plural(singular)] = category
    return {noun: nouns[noun] for noun in sorted(nouns)}


def _is_plain(phrase: str) -> bool:
    words = phrase.split()
    return 1 <= len(words) <= 3 and all(w.replace("-", "").isalpha() for w in words)


def _heldout(goods: Sequence[Good], frac: float) -> frozenset[Pair]:
    """Pairs that only test items have; more are drawn by digest where these are few."""
    of_test: set[Pair] = set()
    of_train: set[Pair] = set()
    for good in goods:
        for value in good.values.values():
            (of_test if good.split == "test" else of_train).add((value, good.category))
    own = of_test - of_train
    every = sorted(of_test | of_train)
    if len(own) >= frac / 2 * len(every):
        return frozenset(own)
    drawn = sorted(every, key=lambda pair: digests.of_json(list(pair)))
    return frozenset(own) | frozenset(drawn[: round(frac * len(every))])
