"""What simulated users say: an act in the wordings of the router's test dialogues.

Wordings that training never shows are used where there are any, as often as a setting says.
"""

import random

from tastemaker.evaluation.simulated_conversations import Act
from tastemaker.router.wordings import Wordings

_AFTER_NOUN = {"material": "in", "room": "for the", "usage": "for"}
_ANY = ("things", "items", "pieces")


def say(act: Act, words: Wordings) -> str:
    """Put an act into words.

    Args:
        act: What is meant.
        words: Draws the wording; of its own seed, so that a user says the same to two systems
            where they mean the same.
    """
    if act.manner == "probe":
        return words.draw("open", title=act.title)
    if act.manner == "search":
        return _search(act, words)
    if act.manner == "reprice":
        return words.draw("reprice", price=_price(act, words))
    if act.manner == "recolor":
        return words.draw("recolor", color=next(iter(act.values.values())))
    if act.manner == "similar":
        return words.draw("similar", it=_place(act, words))
    return words.draw(act.manner)


def _search(act: Act, words: Wordings) -> str:
    noun = act.category or words.rng.choice(_ANY)
    before, after = [], ""
    for key, value in act.values.items():
        if key in _AFTER_NOUN and not after:
            after = f" {_AFTER_NOUN[key]} {value}"
        else:
            before.append(value)
    phrase = " ".join([*before, noun]) + after
    article = words.draw("articles")
    article = "an" if article == "a" and phrase[0] in "aeiou" else article
    text = words.draw("search", a=article, np=phrase)
    if act.max_price is not None:
        text = f"{text} {_price(act, words)}"
    return " ".join(text.split())


def _price(act: Act, words: Wordings) -> str:
    return words.draw("price", n=f"{act.max_price:g}")


def _place(act: Act, words: Wordings) -> str:
    nth = words.lists["ordinals"][act.place - 1] if act.place <= 12 else f"{act.place}th"
    noun = act.category or "item"
    return words.draw("its", nth=nth, n=str(act.place), noun=noun)


def wordings(seed: int, number: int, turn: int, *, simple: bool, unseen_frac: float) -> Wordings:
    """The wordings of one turn of one user."""
    rng = random.Random(f"{seed}-{number}-{turn}")
    return Wordings(rng, simple=simple, unseen_frac=unseen_frac)
