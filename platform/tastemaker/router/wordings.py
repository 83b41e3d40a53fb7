"""Wordings of user turns: patterns with choices and slots, read from `wordings.yaml`."""

import random
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

_FOLDER = Path(__file__).parent
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_LISTS: dict[str, dict[str, list[str]]] = yaml.safe_load((_FOLDER / "wordings.yaml").read_text())
COMMON_WORDS: tuple[str, ...] = tuple(
    dict.fromkeys((_FOLDER / "common_words.txt").read_text().split())
)


class Wordings:
    """Draws wordings.

    Args:
        rng: Source of every draw.
        simple: Few wordings, for tests.
        unseen_frac: How often a wording is one that training never shows.
    """

    def __init__(self, rng: random.Random, *, simple: bool, unseen_frac: float = 0.0) -> None:
        self.rng = rng
        self.unseen_frac = unseen_frac
        self.lists = _LISTS["all"] | (_LISTS["simple"] if simple else {})
        self.drew_unseen = False

    def draw(self, name: str, **slots: str) -> str:
        """One wording of a list, its choices drawn and its slots filled; white space is single."""
        patterns = self.lists[name]
        unseen = _LISTS["unseen"].get(name)
        if unseen and self.unseen_frac and self.rng.random() < self.unseen_frac:
            patterns, self.drew_unseen = unseen, True
        return self.fill(self.rng.choice(patterns), **slots)

    def fill(self, pattern: str, **slots: str) -> str:
        """Draw the choices of a pattern and fill its slots; a slot that is not named stays."""
        return _fill(pattern, self.rng, slots)


def _fill(pattern: str, rng: random.Random, slots: Mapping[str, str] | None = None) -> str:
    while "[" in pattern:
        pattern = _CHOICE.sub(lambda m: rng.choice(m[1].split("|")), pattern, count=1)
    for name, value in (slots or {}).items():
        pattern = pattern.replace("{" + name + "}", value)
    return " ".join(pattern.split())


def all_words() -> str:
    """Every word that the wordings can give, as one text."""
    patterns = [p for lists in _LISTS.values() for one in lists.values() for p in one]
    return re.sub(r"\{\w+\}|[\[\]|]", " ", " ".join(patterns))
