import numpy as np
import pytest

from tastemaker.assistant.conversation import (
    ItemList,
    Turn,
    carried_over,
    known_turns,
)


def turn(question: str, num_lists: int = 0, shown: int | None = None) -> Turn:
    lists = tuple(ItemList((f"{question}{n}",), np.ones((1, 2))) for n in range(num_lists))
    return Turn(question, (), lists, shown)


@pytest.mark.parametrize(
    ("stored", "asked", "kept", "covered"),
    [
        ("abc", "abc", "abc", 3),  # the same history
        ("abc", "", "abc", 0),  # a client that sends its newest message only
        ("abc", "bc", "abc", 2),  # a client that sends its latest messages only
        ("c", "abc", "c", 3),  # a store that began afresh
        ("abc", "ab", "ab", 2),  # a branch from an earlier point
        ("abc", "abx", "ab", 2),  # an edited question
        ("abc", "xyz", "", 0),  # another history
        ("", "ab", "", 0),
        ("aaa", "aa", "aa", 2),  # the same words again: a branch
    ],
)
def test_known_turns(stored: str, asked: str, kept: str, covered: int) -> None:
    found, num = known_turns([turn(name) for name in stored], list(asked))
    assert ("".join(t.question for t in found), num) == (kept, covered)


def test_a_long_history_is_replaced_by_its_last_shown_list() -> None:
    turns = [turn("a", 1, 0), turn("b", 3, 1), turn("c")]
    assert carried_over(turns, max_turns=4, max_lists=9) == (tuple(turns), ())
    kept, brought = carried_over(turns, max_turns=3, max_lists=9)
    assert kept == ()
    assert [items.item_ids for items in brought] == [("b1",)]
    assert carried_over(turns, max_turns=9, max_lists=4)[0] == ()
    assert carried_over([turn("a")], max_turns=1, max_lists=9) == ((), ())
