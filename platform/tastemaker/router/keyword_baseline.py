"""The baseline that a router must beat: hand-written keyword rules over the same history."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tastemaker.router.dialogue_files import Turn
from tastemaker.router.tools import ANSWER, RECOMMEND, SEARCH, SIMILAR

_ORDINALS: tuple[str, ...] = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
)
_ORDINALS += ("ninth", "tenth")
_PLACE = re.compile(r"(?:#\s*|number |nr |no |item |the )(\d+)(?:st|nd|rd|th)?\b")
_PRICE = re.compile(
    r"(?:under|below|less than|up to|at most|not more than|max(?:imum)?|budget of|cheaper than|"
    r"no more than|within)\D{0,12}(\d+)|(\d+)\D{0,8}(?:max|or less|at most)"
)
_LIKE = ("similar", "like", "more of", "alternatives", "others", "close to", "resembl", "go with")
_FOR_ME = ("recommend", "suggest", "for me", "i would like", "would i like", "my taste", "suit me")
_TALK = {
    "thank": "You are welcome.",
    "hello": "Hello! What are you looking for?",
    "weather": "I can only help you find things in this catalogue.",
}
_FILLER = re.compile(
    r"^(?:.*\b(?:show me|find me|get me|give me|gimme|looking for|search for|see|want|need|have|"
    r"find|get|show|me|is there|are there|at|for|point me to|there must be|choose))?\s*"
    r"(?:\b(?:some|any|an|a|the|your)\b)?\s*"
)


class KeywordRouter:
    """Rules over the last message and the number of lists seen.

    Args:
        nouns: Word to category, the catalogue's own.
    """

    def __init__(self, nouns: Mapping[str, str]) -> None:
        self.nouns = dict(sorted(nouns.items(), key=lambda pair: -len(pair[0])))

    def call(self, history: Sequence[Turn]) -> tuple[str, dict[str, Any]]:
        """The next call.

        Args:
            history: The turns so far; the last is a user's or a tool's.

        Returns:
            Tool name and arguments.
        """
        last = history[-1]
        numbers = [number for turn in history for number, _ in turn.lists]
        if last.role == "tool":
            return self._after_tool(history)
        text = last.text
        if not last.lists and self._talk(text):
            return ANSWER, {"text": self._talk(text)}
        place = self._place(text)
        if numbers and (place or any(word in text for word in _LIKE)):
            item = f"@{numbers[-1]}" + (f"#{place}" if place else "")
            return SIMILAR, {"item": item}
        if any(word in text for word in _FOR_ME):
            return RECOMMEND, {}
        return SEARCH, self._search(text.split(" and then ")[0])

    def _after_tool(self, history: Sequence[Turn]) -> tuple[str, dict[str, Any]]:
        before = history[-2].name
        asked = next(turn for turn in reversed(history) if turn.role == "user")
        numbers = [number for number, _ in history[-1].lists]
        place = self._place(asked.text)
        if not numbers:
            return ANSWER, {"text": "I found nothing that fits."}
        if before == SEARCH and place and " and " in asked.text:
            return SIMILAR, {"item": f"@{numbers[-1]}#{place}"}
        said = {
            SEARCH: "Here is what I found.",
            SIMILAR: "These come close.",
            RECOMMEND: "These should suit you.",
        }
        return ANSWER, {"text": said[before], "items": f"@{numbers[-1]}"}

    def _talk(self, text: str) -> str:
        if any(noun in text for noun in self.nouns):
            return ""
        return next((said for word, said in _TALK.items() if word in text), "")

    def _place(self, text: str) -> int:
        if found := _PLACE.search(text):
            return int(found.group(1))
        places = [n for n, word in enumerate(_ORDINALS, 1) if f"the {word}" in text]
        return places[0] if places else 0

    def _search(self, text: str) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        price = _PRICE.search(text)
        if price:
            text = text[: price.start()].rstrip(" ,")
        query = _FILLER.sub("", text).strip(" ?.,!")
        query = re.sub(r"\s*(?:please|do you have that|on a|in stock|here)$", "", query).strip(" ,")
        category = next((c for noun, c in self.nouns.items() if f" {noun} " in f" {query} "), "")
        arguments["query"] = query
        if category:
            arguments["category"] = category
        if price:
            arguments["max_price"] = int(price.group(1) or price.group(2))
        return arguments
