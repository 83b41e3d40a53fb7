"""Keyword rules about boards, pictures, variety and outcomes: part of the baseline."""

import re
from collections.abc import Sequence
from typing import Any

from tastemaker.router import sentences
from tastemaker.router.dialogue_files import Turn
from tastemaker.router.tools import ANSWER, BOARD_GET, BOARD_SAVE, COMPLETE, SHOP_ROOM

Call = tuple[str, dict[str, Any]]

_THESE = r"(?:these|them|those|it|this|that|all|the (?:results|list|set))"
_SAVE = re.compile(
    r"\b(?:save|put|add|keep|pin|store|move|remember|collect|bookmark|drop|use|write|belong)\b|\b(?:make|create|start)\b.*\bboard\b|"
    rf"\bi want {_THESE}.* on my\b"
)
_LOOKS_BACK = re.compile(r"\bwhat (?:did|do) i\b|\bam i\b|\bwould i\b|\bi would\b|\bi'd\b")
_SAVED_AS = (
    re.compile(rf"\bboard (?:called|named) (.+?)(?: (?:from|with|of) {_THESE}\b.*)?$"),
    re.compile(r"\b(?:my|a|the) (?:new )?(\S.*?) board\b"),
    re.compile(r"\bthe board (.+)$"),
    re.compile(r"\b(?:to|on|onto|into|in|as|under)(?: the name)? (.+)$"),
)
_OPENED = (
    re.compile(r"\bboard (?:called |named )(.+)$"),
    re.compile(r"\b(?:open|view|load|get|(?:for|to|on|from|in|with)) (?:my|the) (\S.*?) board\b"),
    re.compile(r"\b(?:my|the) (\S.*?) board\b"),
    re.compile(r"\b(?:my|the) board (.+)$"),
    re.compile(r"^open (.+)$"),
)
_COMPLETE = re.compile(
    r"\bmissing\b|\bcomplete\b|\bfinish\b|\bround off\b|\bgo(?:es)? (?:well )?with\b|\bmatch|"
    r"\bfits?\b|\bsuit\b|\bbelongs\b|\b(?:it|board) (?:still )?(?:need|lack)\b|\bfind more for\b|"
    r"\bfor (?:this|my .*)\bboard\b"
)
_ROOM = re.compile(
    r"\bshop\b|\b(?:in|from) (?:this|my|the)(?: \w+)? (?:photo|picture|room|image)\b|"
    r"\b(?:this|the) look\b|\bthis is my room\b|\bi like this room\b|\brecreate\b|"
    r"\blooks? like this\b|\bidentify\b|\bget this\b"
)
_IN_PICTURE = re.compile(r" (?:in|from) (?:this|my|the) (?:photo|picture|room|image)\b.*$")
_CHANGE = re.compile(
    r"\b((?:in|with|for the) (?!these|them|it\b|this|that|my|there|the )\S+)(?= that |$)"
)
_VARIETY = re.compile(
    r"surprise|different|variety|\bmix\b|everything|unexpected|not expect|comfort zone|horizons|"
    r"never seen|something else|other ideas|creative|go wild|"
    r"all (?:kinds|sorts)|\bbold\b|the usual|out there"
)
_WOULD = re.compile(r"(?:\bi (?:would|will)|\bi'd)\b(?! (?:like|prefer))|\b(?:would|will|am) i\b")
_OUTCOMES = (
    ("save", re.compile(r"\b(?:save|keep|pin|bookmark|put on a board)\b")),
    ("click", re.compile(r"\b(?:buy|click|order|purchase)\b")),
    ("closeup", re.compile(r"\b(?:look|zoom)\b")),
)
_WISHED = (
    re.compile(r"\b(?:which|what) (.+?) (?:would|will|am) i\b"),
    re.compile(r"^(?:show me |find )?(.+?)(?: that)? (?:i would|i'd)\b"),
    re.compile(r"\b(?:mix|variety|kinds|sorts) of (.+)$"),
    re.compile(r"\b(?:surprise me|mix it up) with (.+)$|\b(?:everything|possible) in (.+)$"),
)
_ANYTHING = frozenset(("things", "items", "ones", "something", "what", "guess what"))


def wish(text: str) -> dict[str, str]:
    """What a recommendation is asked to be: its diversity or its outcome, {} for neither."""
    if _WOULD.search(text):
        for outcome, does in _OUTCOMES:
            if does.search(text):
                return {"outcome": outcome}
    return {"diversity": "high"} if _VARIETY.search(text) else {}


def wished(text: str) -> str:
    """The goods of such a request, "" where it names none."""
    text = _last_part(text)
    found = next((m for pattern in _WISHED if (m := pattern.search(text))), None)
    goods = next((group for group in found.groups() if group), "") if found else ""
    return "" if goods in _ANYTHING or goods.endswith(" what") else goods


def titled(text: str, num_lists: int) -> Call | None:
    """A call that names a board by its title."""
    saves = _SAVE.search(text) and not _LOOKS_BACK.search(text)
    if saves and (title := _first(_SAVED_AS, text)):
        if not num_lists:
            return ANSWER, {"text": sentences.NO_LIST}
        return BOARD_SAVE, {"title": title, "items": f"@{num_lists}"}
    if title := _first(_OPENED, text):
        return BOARD_GET, {"title": title}
    return None


def completes(text: str) -> bool:
    """Whether something is asked for that goes with a list."""
    return _COMPLETE.search(text) is not None


def complete(number: int, text: str, query: str) -> Call:
    """The call for what goes with a list; `query` is "" where the text names no goods."""
    query = query or changed(text)
    return COMPLETE, {"items": f"@{number}"} | ({"query": query} if query else {})


def changed(text: str) -> str:
    """How things should be other than they are: "in green", "" for nothing."""
    found = _CHANGE.search(text)
    return found.group(1) if found else ""


def in_picture(text: str) -> str | None:
    """The words before "in this picture", None where no picture is to be shopped."""
    if not _ROOM.search(text):
        return None
    return re.sub(r"^(?:shop|just) ", "", _IN_PICTURE.sub("", _last_part(text)))


def shop(item: str, query: str) -> Call:
    """The call for what is in a picture."""
    return SHOP_ROOM, {"item": item} | ({"query": query} if query else {})


def picture(history: Sequence[Turn]) -> int:
    """Number of the last picture that the user brought, a list of one; 0 for none."""
    brought = [entry for turn in history if turn.role == "user" for entry in turn.lists]
    return next((number for number, rows in reversed(brought) if len(rows) == 1), 0)


def for_board(text: str) -> str:
    """A request without its board: "find a lamp for my garden board" is about a lamp."""
    text = re.sub(r"^open .*? board and (?=find|show|tell|complete)", "", text)
    text = re.sub(r"\bcomplete my .* board with ", "find ", text)
    return re.sub(r" (?:for|to go with|goes with) my .*$| (?:to go with it|that fits)$", "", text)


def _last_part(text: str) -> str:
    """A request without a greeting before it."""
    return re.split(r" [,.:] ", text)[-1]


def _first(patterns: Sequence[re.Pattern[str]], text: str) -> str:
    found = next((m for pattern in patterns if (m := pattern.search(text))), None)
    return found.group(1).strip("\"' ") if found else ""
