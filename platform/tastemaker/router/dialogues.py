"""Dialogues with ground-truth calls, written from a catalogue's items, boards and users.

A dialogue is one to a few user turns; each is answered by one or more calls, the last of them
`answer`. Queries are copied from the user's words, so the call is a function of the words.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tastemaker.router import sentences
from tastemaker.router.config import DialoguesConfig
from tastemaker.router.dialogue_files import Dialogue, Turn
from tastemaker.router.phrases import Phrases, Shelf
from tastemaker.router.tools import ANSWER, RECOMMEND, SEARCH, SIMILAR
from tastemaker.router.wordings import Wordings

SEARCHED, PRICED, REPRICED = "search", "search with price", "price follow-up"
CHEAPER, RECOLORED = "cheaper follow-up", "colour follow-up"
BY_PLACE, BY_WORDS, BY_LIST = "similar by place", "similar by words", "similar to a list"
RECOMMENDED, BOARD, SECOND = "recommend", "board", "second step"
SHOWN, TALK, NO_LIST = "answer with items", "small talk", "nothing to refer to"
KINDS = (
    SEARCHED, PRICED, REPRICED, CHEAPER, RECOLORED, BY_PLACE, BY_WORDS, BY_LIST, RECOMMENDED,
    BOARD, SECOND, SHOWN, TALK, NO_LIST,
)  # fmt: skip

_NOTHING_FRAC = 0.04  # of searches find nothing
_USER_FRAC = 0.7  # of dialogues come with a user embedding
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
    boards: dict[str, Sequence[tuple[int, ...]]]
    num_users: int


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
        test = split == "test"
        self.stock, self.config, self.rng, self.split = stock, config, rng, split
        self.words = Wordings(rng, simple=config.simple, unseen_frac=_UNSEEN_FRAC if test else 0.0)
        self.lexicon = stock.shelves[test].lexicon
        self.phrases = Phrases(
            stock.shelves[test], rng, free_frac=config.free_words_frac, simple=config.simple
        )
        self.turns: list[Turn] = []
        self.lists: dict[int, tuple[int, ...]] = {}
        self.searched: dict[str, Any] | None = None  # arguments of the search last shown

    def write(self) -> Dialogue:
        user = None
        if self.stock.num_users and self.rng.random() < _USER_FRAC:
            user = self.rng.randrange(self.stock.num_users)
        if self.rng.random() < self.config.plain_frac:
            self._search()
        else:
            num_turns = min(self.rng.choice((1, 1, 2, 2, 2, 3, 3, 4)), self.config.turns_max)
            for _ in range(num_turns):
                self._choose()()
        return Dialogue(tuple(self.turns), user)

    def _choose(self) -> Callable[[], None]:
        choices: list[tuple[float, Callable[[], None]]] = [(5, self._search)]
        if not self.config.simple:
            choices += [(0.8, self._board)]
        choices += [(1, self._recommend), (1.2, self._talk)]
        if self.lists:
            choices += [(3.5, self._similar_by_place), (1.8, self._similar_by_words)]
            if not self.config.simple:
                choices += [(0.8, self._similar_to_list)]
        elif not self.config.simple:
            choices += [(0.4, self._nothing_to_refer_to)]
        if self.searched and not self.config.simple:
            choices += [(2.5, self._reprice), (1.5, self._cheaper), (4.5, self._recolor)]
        weights = [weight for weight, _ in choices]
        return self.rng.choices([turn for _, turn in choices], weights)[0]

    # What users ask for

    def _search(self) -> None:
        phrase, _, row = self.phrases.draw()
        arguments: dict[str, Any] = {"query": phrase}
        if category := self.lexicon.category_of(phrase):
            arguments["category"] = category
        price, kind = "", SEARCHED
        if self.rng.random() < 0.25:
            arguments["max_price"] = self._number()
            price, kind = self.words.draw("price", n=str(arguments["max_price"])), PRICED
        text = self.words.draw("search", np=f"{phrase} {price}", a=self._article(phrase))
        if price and self.rng.random() < 0.1:
            text = price.removeprefix(",") + " : " + self.words.draw("search", np=phrase, a="")
        second = not self.config.simple and self.rng.random() < 0.12
        if second:
            place, it = self._place(self.config.list_items)
            text = f"{text} {self.words.draw('then')} more like {it}"
        self._say(text)
        rows = self._near(row)
        if second and place > len(rows):
            rows = self._near(row, size=self.config.list_items)
        shown = self._call(SEARCH, arguments, kind, rows)
        self.searched = arguments
        if not shown:
            self._nothing()
        elif second and place <= len(rows):
            self._like(f"@{shown}#{place}", self.lists[shown][place - 1], SECOND)
        else:
            self._answer(sentences.FOUND, shown)

    def _reprice(self) -> None:
        assert self.searched
        price = self._number()
        arguments = {k: v for k, v in self.searched.items() if k != "max_price"}
        arguments["max_price"] = price
        self._say(self.words.draw("reprice", price=self.words.draw("price", n=str(price))))
        self._search_again(arguments, REPRICED)

    def _cheaper(self) -> None:
        assert self.searched
        self._say(self.words.draw("cheaper"))
        self._search_again({**self.searched, "cheaper_than": f"@{max(self.lists)}"}, CHEAPER)

    def _recolor(self) -> None:
        assert self.searched
        old, color = self.searched["query"], self.phrases.color()
        query = recolored(old, color, self.lexicon.colors)
        if query == old or not self.phrases.allowed(query):
            return self._search()
        self._say(self.words.draw("recolor", color=color))
        self._search_again({**self.searched, "query": query}, RECOLORED)

    def _search_again(self, arguments: dict[str, Any], kind: str) -> None:
        shown = self._call(SEARCH, arguments, kind, self._near(self.rng.choice(self.phrases.mine)))
        self.searched = {k: v for k, v in arguments.items() if k != "cheaper_than"}
        self._answer(sentences.FOUND, shown) if shown else self._nothing()

    def _similar_by_place(self) -> None:
        number = max(self.lists)
        rows = self.lists[number]
        place, it = self._place(len(rows))
        self._similar(f"@{number}#{place}", it, rows[place - 1], BY_PLACE)

    def _similar_by_words(self) -> None:
        number = max(self.lists)
        row = self.rng.choice(self.lists[number])
        ref = self.phrases.reference(row)
        it = self.words.draw("refs", ref=ref, noun=self.phrases.noun(row))
        if it.startswith(("the ", "that ")) and not it.endswith(("one", "thing", "there")):
            ref = it.partition(" ")[2]
        self._similar({"list": f"@{number}", "ref": ref}, it, row, BY_WORDS)

    def _similar(self, item: Any, it: str, row: int, kind: str) -> None:
        change = ""
        if not self.config.simple and self.rng.random() < 0.3:
            change = self.rng.choice(("in {c}", "in {c}", "with {w}", "for the {w}", "in {w}"))
            change = change.format(c=self.phrases.color(), w=self.phrases.word())
        name = "changed" if change else "similar"
        self._say(self.words.draw(name, it=it, change=change))
        self._like(item, row, kind, change)

    def _like(self, item: Any, row: int, kind: str, query: str = "") -> None:
        arguments = {"item": item} | ({"query": query} if query else {})
        shown = self._call(SIMILAR, arguments, kind, self._near(row))
        self.searched = None
        self._answer(sentences.CLOSE, shown) if shown else self._nothing()

    def _similar_to_list(self) -> None:
        number = max(self.lists)
        it = self.words.draw("lists")
        self._say(self.words.draw("more_of_list", it=it))
        self._like(f"@{number}", self.rng.choice(self.lists[number]), BY_LIST)

    def _board(self) -> None:
        boards = self.stock.boards.get(self.split) or ()
        rows = self.rng.choice(boards) if boards else self._near(self.rng.choice(self.phrases.mine))
        number = self._add_list(rows)
        self.searched = None
        draw = self.rng.random()
        if draw < 0.3:
            place, it = self._place(len(rows))
            self._say(self.words.draw("similar", it=it), ((number, tuple(rows)),))
            return self._like(f"@{number}#{place}", rows[place - 1], BY_PLACE)
        arguments = {"item": f"@{number}"}
        text = self.words.draw("board")
        if draw < 0.65:
            phrase, _, _ = self.phrases.draw()
            arguments["query"] = phrase
            text = self.words.draw("board_np", np=phrase, a=self._article(phrase))
        self._say(text, ((number, tuple(rows)),))
        shown = self._call(SIMILAR, arguments, BOARD, self._near(self.rng.choice(rows)))
        self._answer(sentences.FITS_LIST, shown) if shown else self._nothing()

    def _recommend(self) -> None:
        row = self.rng.choice(self.phrases.mine)
        arguments = {}
        text = self.words.draw("recommend")
        if self.rng.random() < 0.5:
            phrase, _, row = self.phrases.draw()
            arguments["query"] = phrase
            text = self.words.draw("recommend_np", np=phrase, a=self._article(phrase))
        self._say(text)
        shown = self._call(RECOMMEND, arguments, RECOMMENDED, self._near(row))
        self.searched = None
        self._answer(sentences.SUITS, shown) if shown else self._nothing()

    def _talk(self) -> None:
        topics = ("hello", "welcome", "goodbye", "abilities", "out_of_scope", "out_of_scope")
        topic = self.rng.choice(topics)
        self._say(self.words.draw(topic, w=self.phrases.word()), plain=True)
        self._answer(getattr(sentences, topic.upper()), None, TALK)

    def _nothing_to_refer_to(self) -> None:
        _, it = self._place(10)
        if self.rng.random() < 0.3:
            self._say(self.words.draw("cheaper"))
        else:
            self._say(self.words.draw("similar", it=it))
        self._answer(sentences.NO_LIST, None, NO_LIST)

    # Parts of turns

    def _place(self, size: int) -> tuple[int, str]:
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

    def _article(self, phrase: str) -> str:
        article: str = self.rng.choice(self.words.lists["articles"])
        return "an" if article == "a" and phrase[0] in "aeiou" else article

    def _number(self) -> int:
        draw = self.rng.random()
        if self.config.simple or draw < 0.5:
            return self.rng.choice((5, 10, 25, 50)) * self.rng.randint(1, 20)
        return self.rng.randint(1, 999) if draw < 0.85 else self.rng.randint(1, 99) * 100

    def _near(self, row: int, size: int = 0) -> tuple[int, ...]:
        """A result list about an item: mostly of the usual length, its order a little mixed."""
        usual, draw = self.config.list_items, self.rng.random()
        if not size:
            size = usual if draw < 0.55 else self.rng.randint(1, usual)
            size = size if draw < 0.9 else self.rng.randint(1, 2 * usual)
        rows = self.stock.near_NK[row][: 2 * size].tolist()
        self.rng.shuffle(rows)
        return tuple(rows[:size])

    def _say(
        self, text: str, lists: tuple[tuple[int, tuple[int, ...]], ...] = (), plain: bool = False
    ) -> None:
        if not plain:
            if not self.config.simple and self.rng.random() < 0.15:
                text = f"{self.words.draw('first_words')} {text}"
            if self.rng.random() < 0.25:
                text = f"{text} {self.words.draw('last_words')}"
            if self.rng.random() < 0.3:
                text = text.replace(" ,", "")
        self.turns.append(Turn("user", " ".join(text.split()), lists))

    def _call(self, name: str, arguments: dict[str, Any], kind: str, rows: Sequence[int]) -> int:
        """A call and its result; returns the list's number, 0 where nothing is found."""
        unseen, self.words.drew_unseen = self.words.drew_unseen, False
        self.turns.append(
            Turn("assistant", name=name, arguments=arguments, kind=kind, unseen=unseen)
        )
        if self.rng.random() < _NOTHING_FRAC:
            self.turns.append(Turn("tool"))
            return 0
        number = self._add_list(rows)
        self.turns.append(Turn("tool", lists=((number, tuple(rows)),)))
        return number

    def _add_list(self, rows: Sequence[int]) -> int:
        number = len(self.lists) + 1
        self.lists[number] = tuple(rows)
        return number

    def _answer(self, text: str, shown: int | None, kind: str = SHOWN) -> None:
        arguments = {"text": text} | ({"items": f"@{shown}"} if shown else {})
        self.turns.append(Turn("assistant", name=ANSWER, arguments=arguments, kind=kind))

    def _nothing(self) -> None:
        self.searched = None
        self._answer(sentences.NOTHING_FITS, None)


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
