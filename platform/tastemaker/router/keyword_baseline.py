"""The baseline that a router must beat: hand-written keyword rules over the same history.

The rules know the catalogue's nouns and colours, ordinals, price phrases, the usual openings of
a request and the router's sentences; they are what a team would write in a day.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from tastemaker.router import keyword_boards as boards
from tastemaker.router import sentences
from tastemaker.router.dialogue_files import Turn
from tastemaker.router.dialogues import recolored
from tastemaker.router.draft import SORRY
from tastemaker.router.tools import (
    ANSWER,
    BOARD_GET,
    BOARD_SAVE,
    COMPLETE,
    RECOMMEND,
    SEARCH,
    SHOP_ROOM,
    SIMILAR,
)

Call = tuple[str, dict[str, Any]]

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
_ORDINALS += ("ninth", "tenth", "eleventh", "twelfth")
_PLACE = re.compile(r"(?:#\s?|number |nr |no \. |no |item |place )(\d+)\b|\b(\d+)(?:st|nd|rd|th)\b")
_PRICE = re.compile(
    r",?\s*\b(?:for |that costs? |priced |at a price |on an? |within an? |my |the |our |i can )*"
    r"(?:under|below|less than|up to|at most|no more than|not more than|max(?:imum)?|cheaper than|"
    r"budget of|budget is|within|not over|nothing over|spend)(?: \$)? (\d+)"
    r"(?: (?:dollars|euros|eur|usd|bucks|pounds|max))?|,? (\d+) max"
)
_REF = re.compile(r"\b(?:the|that|this) ((?!last|first)[\w' -]+?) (?:one|thing)\b")
_CHANGE = re.compile(r"(?:but|just|great|available|one|\d|#\d+|,) ((?:in|with|for the) \S+)")
_CHEAPER = re.compile(r"cheaper|expensive|affordable|cost too much|can not afford|lower price")
_STEP = re.compile(r"\s(?:,|\.|and|then)(?: and| then| after that| please|,)* more like ")
_LIKE = re.compile(r"similar|like|more of|alternatives|others|close to|go with|is nice|looks|love")
_FOR_ME = re.compile(
    r"recommend|suggest|for me|would i like|would like$|my taste|suits? me|surprise|ideas|inspir|"
    r"my style|do i like|things i like|pick |choose |might like|what i want"
)
_TALK = (
    (
        r"^(?:ok )?(?:thanks?|thx|cheers|great|perfect|awesome|lovely|cool|nice|many thanks)\b"
        r"[ ,!]*(?:(?:thank|a lot).*)?$",
        sentences.WELCOME,
    ),
    (
        r"^(?:hi|hello|hey|greetings|good (?:morning|evening|day))\b[ ,!]*(?:there)?$",
        sentences.HELLO,
    ),
    (r"\b(?:bye|goodbye|see you|good night|that is all|i am done)\b", sentences.GOODBYE),
    (
        r"^(?:help|what can (?:you|i)|who are you|how does this|what are you)",
        sentences.ABILITIES,
    ),
    (
        r"weather|joke|president|capital of|poem|translate|instructions|my order|refund|who won",
        sentences.OUT_OF_SCOPE,
    ),
)
_OPENING = re.compile(
    r"^.*?\b(?:show me|show|find me|find us|find|get me|give me|gimme|looking for|look for|"
    r"search for|search|see|i want to (?:see|buy|get)|i want|i need|we need|wants|needs|"
    r"do you (?:have|sell|carry|stock)|have you got|got|is there|are there|i'd like|i would like|"
    r"like to (?:see|buy|get|find)|after|need|want|shopping for|thinking of (?:buying|getting)|"
    r"in the market for|could use|how about|what about|browse|recommend me|recommend|suggest|"
    r"pick|choose|list|display)\s+"
)
_ARTICLE = re.compile(r"^(?:some|any|an|a|the|your|one|another|me)\s+")
_CLOSING = re.compile(
    r"(?:\s*(?:,|\?|!|\.|please|thanks|thank you|if you can|if possible|for me|today|now|asap|"
    r"do you have(?: that| any)?|to my taste|for my taste|that i would like|i would like|"
    r"that (?:fits|goes with|matches)(?: these| this| my board)?|to match my board|"
    r"to (?:go with|match) (?:these|them|it)|that (?:goes with|fits|matches) (?:these|them|it)|"
    r"(?:would )?go(?:es)? with (?:these|them|it)))+$"
)
_STEP_SAVE = re.compile(
    r"\s(?:[,.] )?(?:and|then)(?: then| after that| please|,)* "
    r"(?=(?:save|put|add|keep|pin|store|move|remember|make|create|start|can|could|would|i want)\b"
    r".*\b(?:them|these|the results)\b)"
)
_SAID = {
    SEARCH: sentences.FOUND,
    SIMILAR: sentences.CLOSE,
    RECOMMEND: sentences.SUITS,
    COMPLETE: sentences.FITS_LIST,
    SHOP_ROOM: sentences.IN_PICTURE,
    BOARD_GET: sentences.OPENED,
    BOARD_SAVE: sentences.SAVED,
}


class KeywordRouter:
    """Rules over the last message, the lists seen and the last search.

    Args:
        nouns: Word to category, the catalogue's own.
        colors: The catalogue's colours.
    """

    def __init__(self, nouns: Mapping[str, str], colors: Sequence[str] = ()) -> None:
        self.nouns = dict(sorted(nouns.items(), key=lambda pair: -len(pair[0])))
        self.colors = colors

    def call(self, history: Sequence[Turn]) -> Call:
        """The next call.

        Args:
            history: The turns so far; the last is a user's or a tool's.

        Returns:
            Tool name and arguments.
        """
        last = history[-1]
        if last.role == "tool":
            return self._after_tool(history)
        lists = [entry for turn in history for entry in turn.lists]
        text = _CLOSING.sub("", last.text)
        said = next((said for rule, said in _TALK if re.search(rule, last.text)), "")
        if said and not last.lists and not self._category(text):
            return ANSWER, {"text": said}
        if about := self._picture(text, history):
            return about
        if not _STEP_SAVE.search(last.text):
            if not last.lists and (named := boards.titled(text, len(lists))):
                one = named[0] == BOARD_SAVE and self._place(text.split(" board")[0], 1)
                return (ANSWER, {"text": sentences.WHOLE_LISTS}) if one else named
            if boards.completes(last.text) and not lists:
                return ANSWER, {"text": sentences.NO_LIST}
            if boards.completes(last.text):
                return boards.complete(len(lists), text, self._goods(text))
        searched = next((t for t in reversed(history) if t.name in _SAID), None)
        if searched and searched.name == SEARCH and not last.lists:
            again = self._again(text, searched.arguments or {}, len(lists))
            if again:
                return SEARCH, again
        return self._item(text, lists, brought=bool(last.lists)) or self._wish(text)

    def _item(
        self, text: str, lists: Sequence[tuple[int, tuple[int, ...]]], brought: bool
    ) -> Call | None:
        """A call about items that were shown or brought."""
        if _STEP.search(text):
            return None
        place = self._place(text, len(lists[-1][1]) if lists else 10)
        ref = _REF.search(text)
        if not lists:
            return (ANSWER, {"text": sentences.NO_LIST}) if place or _CHEAPER.search(text) else None
        number = lists[-1][0]
        change = _CHANGE.search(text)
        query = {"query": change.group(1)} if change else {}
        if place:
            return SIMILAR, {"item": f"@{number}#{place}", **query}
        if ref and _LIKE.search(text + " like" * bool(query)):
            return SIMILAR, {"item": {"list": f"@{number}", "ref": ref.group(1)}, **query}
        if brought:
            return boards.complete(number, "", self._goods(text))
        if re.search(r"\b(?:these|them|those|more|others|list|selection)\b", text):
            return SIMILAR, {"item": f"@{number}"}
        return None

    def _picture(self, text: str, history: Sequence[Turn]) -> Call | None:
        """A call about the user's own picture."""
        brought = history[-1].lists
        number = brought[-1][0] if brought else boards.picture(history)
        what = boards.in_picture(text)
        if what is not None:
            place = self._place(text, 1) or 1 if brought else 1
            if not number:
                return ANSWER, {"text": sentences.NO_LIST}
            return boards.shop(f"@{number}#{place}", self._goods(what))
        if brought and len(brought[-1][1]) == 1 and not boards.completes(history[-1].text):
            change = boards.changed(text)
            query = {"query": change} if change else {}
            return SIMILAR, {"item": f"@{number}#1", **query}
        return None

    def _wish(self, text: str) -> Call:
        wish = boards.wish(text)
        if wish:
            goods = self._query(boards.wished(text))
            return RECOMMEND, ({"query": goods} if goods else {}) | wish
        if _FOR_ME.search(text):
            goods = self._goods(text)
            return RECOMMEND, {"query": goods} if goods else {}
        text = _STEP_SAVE.split(_STEP.split(text)[0])[0]
        arguments: dict[str, Any] = {}
        price = _PRICE.search(text)
        if price:
            text = text[: price.start()] or text[price.end() :]
        arguments["query"] = self._query(text)
        if category := self._category(arguments["query"]):
            arguments["category"] = category
        if price:
            arguments["max_price"] = int(price.group(1) or price.group(2))
        return SEARCH, arguments

    def _again(self, text: str, before: dict[str, Any], num_lists: int) -> dict[str, Any]:
        """The last search, changed by a short follow-up; {} where the text is none."""
        kept = {key: value for key, value in before.items() if key != "cheaper_than"}
        if self._category(text):
            return {}
        if price := _PRICE.search(text):
            short = len(text.split()) <= 8
            value = int(price.group(1) or price.group(2))
            kept.pop("max_price", None)
            return {**kept, "max_price": value} if short else {}
        if _CHEAPER.search(text):
            return {**kept, "cheaper_than": f"@{num_lists}"}
        named = [color for color in self.colors if f" {color} " in f" {text} "]
        if named and not _REF.search(text) and not self._place(text, 10):
            return {**kept, "query": recolored(kept["query"], max(named, key=len), self.colors)}
        return {}

    def _after_tool(self, history: Sequence[Turn]) -> Call:
        call, result = history[-2], history[-1]
        asked = next(turn for turn in reversed(history) if turn.role == "user")
        if result.text.startswith("error"):
            goods = (call.arguments or {}).get("query", "")
            if call.name == RECOMMEND and goods:
                category = self._category(goods)
                return SEARCH, {"query": goods} | ({"category": category} if category else {})
            return ANSWER, {"text": SORRY.get(call.name, sentences.FAILED)}
        if not result.lists:
            quiet = {BOARD_GET: sentences.EMPTY_BOARD, BOARD_SAVE: sentences.SAVED}
            return ANSWER, {"text": quiet.get(call.name, sentences.NOTHING_FITS)}
        number, rows = result.lists[0]
        step = re.search(r"\bmore like (.*)$", asked.text)
        if call.name == SEARCH and step and (place := self._place(step.group(1), len(rows))):
            return SIMILAR, {"item": f"@{number}#{place}"}
        text = _CLOSING.sub("", asked.text)
        if call.name == SEARCH and (save := _STEP_SAVE.search(text)):
            return boards.titled(text[save.end() :], number) or self._shown(call, number)
        goods = self._goods(boards.for_board(text))
        if call.name == BOARD_GET and (boards.completes(text) or goods):
            return boards.complete(number, "", goods)
        return self._shown(call, number)

    def _shown(self, call: Turn, number: int) -> Call:
        return ANSWER, {"text": _SAID[call.name], "items": f"@{number}"}

    def _goods(self, text: str) -> str:
        """The noun phrase of a request that names goods of the catalogue, else ""."""
        return self._query(text) if self._category(text) else ""

    def _place(self, text: str, size: int) -> int:
        if found := _PLACE.search(text):
            return int(found.group(1) or found.group(2))
        if re.search(r"\b(?:last|at the end)\b", text):
            return size
        words = text.split()
        return next((n for n, word in enumerate(_ORDINALS, 1) if word in words), 0)

    def _query(self, text: str) -> str:
        text = _OPENING.sub("", _CLOSING.sub("", text))
        return _CLOSING.sub("", _ARTICLE.sub("", text)).strip(" ?.,!:")

    def _category(self, text: str) -> str:
        head = re.split(r" (?:for|in|with|made|of|that|to) ", f"{text} ")[0]
        return next((c for noun, c in self.nouns.items() if f" {noun} " in f" {head} "), "")
