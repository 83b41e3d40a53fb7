"""What a conversation is made of: its turns, and the item lists that `@1`, `@2`, ... stand for.

A client sends the history with each request, as text. The lists and tool calls behind that text
are kept by the server (`conversation_store`); what of both counts is decided here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ItemList:
    """A list that a handle stands for.

    Attributes:
        item_ids: Ids in order; None for a picture of the user's own.
        vectors_ND: Their vectors, float32, unit norm.
        scores: Their scores, in the same order; higher is better.
        images: Base64 JPEGs of the user's own pictures, in the same order; empty for a list
            from the catalogue.
    """

    item_ids: tuple[str | None, ...]
    vectors_ND: np.ndarray
    scores: tuple[float, ...] = ()
    images: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.item_ids)


@dataclass(frozen=True)
class Turn:
    """One question with all that the router saw and said of it.

    Attributes:
        question: The user's text, as the client sent it.
        messages: Router messages of this turn, from the user's to the answer's call.
        lists: The lists that appeared in it, in order.
        shown: Place in `lists` of the list that was shown, None for none.
        liked: Id of the item that the user clicked to ask it, empty for none.
        turn_id: Its record's, empty for a turn that only the client remembers.
    """

    question: str
    messages: tuple[Mapping[str, Any], ...]
    lists: tuple[ItemList, ...] = ()
    shown: int | None = None
    liked: str = ""
    turn_id: str = ""


def known_turns(turns: Sequence[Turn], asked: Sequence[str]) -> tuple[tuple[Turn, ...], int]:
    """The stored turns that a client's history still contains.

    Handles count from the conversation's start, so only a beginning can be kept: a client that
    goes back to an earlier point and asks something else branches there.

    Args:
        turns: What is stored, oldest first.
        asked: The user texts that the client sent before its newest.

    Returns:
        All turns when one history is the latest part of the other, or the client sent none;
        else the longest beginning whose questions agree. Then how many of `asked` they cover.
    """
    stored, asked = [turn.question for turn in turns], list(asked)
    shorter = min(len(stored), len(asked))
    same_end = stored[len(stored) - shorter :] == asked[len(asked) - shorter :]
    if same_end and len(stored) < len(asked) and stored:
        return tuple(turns), len(asked)
    same = 0
    while same < shorter and stored[same] == asked[same]:
        same += 1
    if same == 0 and same_end:
        return tuple(turns), shorter
    return tuple(turns[:same]), same


def carried_over(
    turns: Sequence[Turn], *, max_turns: int, max_lists: int
) -> tuple[tuple[Turn, ...], tuple[ItemList, ...]]:
    """What the router is shown of a history: all of it, or the latest list alone.

    A small router reads few turns well. Past the limit it starts afresh with the last list that
    was found or shown, so that "the second one" still works.

    Args:
        turns: The whole history, oldest first.
        max_turns: Fewer turns than this are shown, >= 1.
        max_lists: And fewer lists than this.

    Returns:
        The turns to show, and the lists to bring along with the next question.
    """
    if len(turns) < max_turns and sum(len(turn.lists) for turn in turns) < max_lists:
        return tuple(turns), ()
    with_lists = [turn for turn in turns if turn.lists]
    if not with_lists:
        return (), ()
    last = with_lists[-1]
    return (), (last.lists[-1 if last.shown is None else last.shown],)
