"""Dialogues with ground-truth calls, written from a catalogue's items, boards and users.

A dialogue is one to a few user turns; each is answered by one or more calls, the last of them
`answer`. Queries are copied from the user's words, so the call is a function of the words.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tastemaker.router import kinds, sentences
from tastemaker.router.board_turns import BoardTurns
from tastemaker.router.config import DialoguesConfig
from tastemaker.router.dialogue_files import Dialogue
from tastemaker.router.draft import Draft, Stock
from tastemaker.router.tools import OUTCOMES, RECOMMEND, SEARCH

_USER_FRAC = 0.7  # of dialogues come with a user embedding


def nearest(items_ND: np.ndarray, count: int) -> np.ndarray:
    """Rows of each item's nearest neighbours by inner product, itself first, (N, count)."""
    scores_NN = items_ND @ items_ND.T
    np.fill_diagonal(scores_NN, np.inf)
    return np.argsort(-scores_NN, axis=1, kind="stable")[:, :count].astype(np.int32)


def make_dialogue(stock: Stock, config: DialoguesConfig, split: str, number: int) -> Dialogue:
    """Dialogue `number` of a split: a function of its arguments alone."""
    return _Writer(stock, config, split, random.Random(f"{config.seed} {split} {number}")).write()


class _Writer:
    def __init__(
        self, stock: Stock, config: DialoguesConfig, split: str, rng: random.Random
    ) -> None:
        self.draft = Draft(stock, config, split, rng)
        self.boards = BoardTurns(self.draft)
        self.config, self.rng, self.words = config, rng, self.draft.words
        self.phrases, self.lexicon = self.draft.phrases, self.draft.lexicon
        self.num_users = stock.num_users

    def write(self) -> Dialogue:
        user = None
        if self.num_users and self.rng.random() < _USER_FRAC:
            user = self.rng.randrange(self.num_users)
        if self.rng.random() < self.config.plain_frac:
            self._search()
        else:
            num_turns = min(self.rng.choice((1, 1, 2, 2, 2, 3, 3, 4)), self.config.turns_max)
            for _ in range(num_turns):
                if not self.draft.over:
                    self._choose()()
        return Dialogue(tuple(self.draft.turns), user)

    def _choose(self) -> Callable[[], None]:
        listed, boards = bool(self.draft.lists), self.boards
        choices: list[tuple[float, Callable[[], None]]] = [(5, self._search)]
        choices += [(1, self._recommend), (1.2, self._talk)]
        if listed:
            choices += [(4.2, self._similar_by_place), (2.0, self._similar_by_words)]
        if not self.config.simple:
            choices += [(0.9, boards.bring), (0.9, boards.picture), (0.7, boards.open)]
            choices += [(0.35, self._varied), (0.4, self._by_outcome)]
            choices += [(0.8, self._similar_to_list)] if listed else [(0.6, self._no_list)]
            if listed:
                choices += [(1.7, boards.save), (0.9, boards.complete_shown)]
            if self.draft.searched:
                choices += [(3, self._reprice), (1.8, self._cheaper), (7, self._recolor)]
            if self.draft.picture:
                choices += [(1.0, boards.picture_again)]
        weights = [weight for weight, _ in choices]
        return self.rng.choices([turn for _, turn in choices], weights)[0]

    def _search(self) -> None:
        draft = self.draft
        phrase, _, row = self.phrases.draw()
        arguments = self._find(phrase)
        price, kind = "", kinds.SEARCHED
        if self.rng.random() < 0.25:
            arguments["max_price"] = draft.number()
            price, kind = self.words.draw("price", n=str(arguments["max_price"])), kinds.PRICED
        text = self.words.draw("search", np=f"{phrase} {price}", a=draft.article(phrase))
        if price and self.rng.random() < 0.1:
            text = price.removeprefix(",") + " : " + self.words.draw("search", np=phrase, a="")
        second = 1.0 if self.config.simple else self.rng.random()
        if second < 0.12:
            return self._search_then_like(text, arguments, kind, row)
        if second < 0.15:
            return self._search_then_save(text, arguments, kind, row)
        draft.say(text)
        shown = draft.call(SEARCH, arguments, kind, draft.near(row))
        draft.searched = arguments
        draft.show(sentences.FOUND, shown)

    def _find(self, phrase: str) -> dict[str, Any]:
        category = self.lexicon.category_of(phrase)
        return {"query": phrase} | ({"category": category} if category else {})

    def _search_then_like(self, text: str, arguments: dict[str, Any], kind: str, row: int) -> None:
        draft = self.draft
        place, it = draft.place(self.config.list_items)
        draft.say(f"{text} {self.words.draw('then')} more like {it}")
        rows = draft.near(row)
        if place > len(rows):
            rows = draft.near(row, size=self.config.list_items)
        shown = draft.call(SEARCH, arguments, kind, rows)
        draft.searched = arguments
        if shown and place <= len(rows):
            draft.like(f"@{shown}#{place}", rows[place - 1], kinds.SECOND)
        else:
            draft.show(sentences.FOUND, shown)

    def _search_then_save(self, text: str, arguments: dict[str, Any], kind: str, row: int) -> None:
        title = self.boards.then_save(text)
        shown = self.draft.call(SEARCH, arguments, kind, self.draft.near(row))
        self.draft.searched = arguments
        if shown:
            self.boards.saved(shown, title, kinds.SECOND)
        else:
            self.draft.show(sentences.FOUND, shown)

    def _reprice(self) -> None:
        price = self.draft.number()
        arguments = {k: v for k, v in self._searched().items() if k != "max_price"}
        arguments["max_price"] = price
        self.draft.say(self.words.draw("reprice", price=self.words.draw("price", n=str(price))))
        self._search_again(arguments, kinds.REPRICED)

    def _cheaper(self) -> None:
        self.draft.say(self.words.draw("cheaper"))
        arguments = {**self._searched(), "cheaper_than": f"@{self.draft.last}"}
        self._search_again(arguments, kinds.CHEAPER)

    def _recolor(self) -> None:
        old, color = self._searched()["query"], self.phrases.color()
        query = recolored(old, color, self.lexicon.colors)
        if query == old or not self.phrases.allowed(query):
            return self._search()
        self.draft.say(self.words.draw("recolor", color=color))
        self._search_again({**self._searched(), "query": query}, kinds.RECOLORED)

    def _search_again(self, arguments: dict[str, Any], kind: str) -> None:
        near = self.draft.near(self.draft.any_row())
        shown = self.draft.call(SEARCH, arguments, kind, near)
        self.draft.searched = {k: v for k, v in arguments.items() if k != "cheaper_than"}
        self.draft.show(sentences.FOUND, shown)

    def _searched(self) -> dict[str, Any]:
        assert self.draft.searched
        return self.draft.searched

    def _similar_by_place(self) -> None:
        number = self.draft.last
        rows = self.draft.lists[number]
        place, it = self.draft.place(len(rows))
        self._similar(f"@{number}#{place}", it, rows[place - 1], kinds.BY_PLACE)

    def _similar_by_words(self) -> None:
        number = self.draft.last
        row = self.rng.choice(self.draft.lists[number])
        ref = self.phrases.reference(row)
        it = self.words.draw("refs", ref=ref, noun=self.phrases.noun(row))
        if it.startswith(("the ", "that ")) and not it.endswith(("one", "thing", "there")):
            ref = it.partition(" ")[2]
        self._similar({"list": f"@{number}", "ref": ref}, it, row, kinds.BY_WORDS)

    def _similar(self, item: Any, it: str, row: int, kind: str) -> None:
        change = ""
        if not self.config.simple and self.rng.random() < 0.3:
            change = self.draft.change()
        name = "changed" if change else "similar"
        self.draft.say(self.words.draw(name, it=it, change=change))
        self.draft.like(item, row, kind, change)

    def _similar_to_list(self) -> None:
        number = self.draft.last
        it = self.words.draw("lists")
        self.draft.say(self.words.draw("more_of_list", it=it))
        self.draft.like(f"@{number}", self.rng.choice(self.draft.lists[number]), kinds.BY_LIST)

    def _recommend(self) -> None:
        self._for_me("recommend", {}, kinds.RECOMMENDED)

    def _varied(self) -> None:
        self._for_me("varied", {"diversity": "high"}, kinds.VARIED)

    def _by_outcome(self) -> None:
        outcome = self.rng.choice(OUTCOMES)
        does = self.words.draw(f"does_{outcome}")
        self._for_me("outcome", {"outcome": outcome}, kinds.OUTCOME, does=does)

    def _for_me(self, name: str, wish: dict[str, Any], kind: str, does: str = "") -> None:
        draft, row, arguments, phrase = self.draft, self.draft.any_row(), dict(wish), ""
        if self.rng.random() < 0.5:
            phrase, _, row = self.phrases.draw()
            arguments = {"query": phrase, **wish}
            article = draft.article(phrase)
            text = self.words.draw(f"{name}_np", np=phrase, a=article, does=does)
        else:
            text = self.words.draw(name, does=does)
        draft.say(text)
        shown = draft.call(RECOMMEND, arguments, kind, draft.near(row))
        draft.searched = None
        if draft.over and "query" in arguments:
            shown = draft.call(SEARCH, self._find(phrase), kinds.FAULT, draft.near(row))
            return draft.answer(sentences.FOUND if shown else sentences.NOTHING_FITS, shown)
        draft.show(sentences.SUITS, shown)

    def _talk(self) -> None:
        topics = ("hello", "welcome", "goodbye", "abilities", "out_of_scope", "out_of_scope")
        topic = self.rng.choice(topics)
        self.draft.say(self.words.draw(topic, w=self.phrases.word()), plain=True)
        self.draft.answer(getattr(sentences, topic.upper()), 0, kinds.TALK)

    def _no_list(self) -> None:
        draw = self.rng.random()
        if draw < 0.25:
            text = self.words.draw("cheaper")
        elif draw < 0.7:
            text = self.words.draw("similar", it=self.draft.place(10)[1])
        else:
            text = self.boards.nothing()
        self.draft.say(text)
        self.draft.answer(sentences.NO_LIST, 0, kinds.NO_LIST)


def recolored(query: str, color: str, colors: Sequence[str]) -> str:
    """A query in another colour: the first colour that it names is replaced, else one is put first.

    Raises:
        ValueError: An empty query.
    """
    if not query:
        raise ValueError("an empty query has no colour")
    padded = f" {query} "
    named = [(padded.index(f" {c} "), -len(c), c) for c in colors if f" {c} " in padded]
    if not named:
        return f"{color} {query}"
    _, _, old = min(named)
    return padded.replace(f" {old} ", f" {color} ", 1).strip()
