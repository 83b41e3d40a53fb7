"""Turns about boards and pictures, written many times."""

from collections.abc import Iterator

import pytest

from tastemaker.router.config import DialoguesConfig
from tastemaker.router.dialogue_files import Dialogue, Turn
from tastemaker.router.dialogues import make_dialogue
from tastemaker.router.draft import Stock


@pytest.fixture(scope="module")
def many(stock: Stock) -> list[Dialogue]:
    return [make_dialogue(stock, DialoguesConfig(), "train", n) for n in range(600)]


def calls(many: list[Dialogue], kind: str) -> Iterator[tuple[Turn, Turn, Turn]]:
    """The user's turn, the call and the next call, for each call of a kind."""
    for dialogue in many:
        for place, turn in enumerate(dialogue.turns):
            if turn.kind == kind:
                asked = next(t for t in reversed(dialogue.turns[:place]) if t.role == "user")
                yield asked, turn, dialogue.turns[place + 2]


def test_a_picture_is_shopped_or_matched_by_what_is_said(many: list[Dialogue]) -> None:
    shopped = {asked.text for asked, _, _ in calls(many, "shop a room") if asked.lists}
    matched = {asked.text for asked, _, _ in calls(many, "similar to a picture")}
    assert shopped
    assert "" in matched
    assert not shopped & matched


def test_a_board_is_saved_from_a_list_and_said_to_be(many: list[Dialogue]) -> None:
    found = list(calls(many, "save a board"))
    for _, call, answer in found:
        assert call.name == "board_save"
        assert answer.arguments is not None
        assert answer.arguments["text"] == "Saved to your board."
    assert {"items" in (answer.arguments or {}) for _, _, answer in found} == {True, False}


def test_titles_hold_no_quotes_and_do_not_end_in_the_word_board(many: list[Dialogue]) -> None:
    titles = [(call.arguments or {})["title"] for _, call, _ in calls(many, "open a board")]
    assert len(set(titles)) > 20
    for title in titles:
        assert title.strip("\"' ") == title
        assert not title.endswith(" board")


def test_an_opened_board_is_shown_or_completed(many: list[Dialogue]) -> None:
    names = {following.name for _, _, following in calls(many, "open a board")}
    assert names == {"answer", "complete_board"}


def test_boards_brought_are_completed(many: list[Dialogue]) -> None:
    brought = [(a, c) for a, c, _ in calls(many, "complete a board") if a.lists]
    for asked, call in brought:
        assert call.name == "complete_board"
        assert (call.arguments or {})["items"] == f"@{asked.lists[0][0]}"
    assert any("query" in (call.arguments or {}) for _, call in brought)
