"""Turns about boards and pictures, written many times."""

from collections.abc import Iterator

import pytest

from tastemaker.router import sentences
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
    found = [*calls(many, "save a board"), *calls(many, "second step")]
    found = [row for row in found if row[1].name == "board_save"]
    answers = {(answer.arguments or {})["text"] for _, _, answer in found}
    assert answers == {sentences.SAVED, sentences.NOT_SAVED}


def test_after_a_fault_there_is_a_way_on_and_then_the_dialogue_ends(many: list[Dialogue]) -> None:
    said = set()
    for dialogue in many:
        faults = [n for n, turn in enumerate(dialogue.turns) if turn.text.startswith("error")]
        if not faults:
            continue
        failed, following = dialogue.turns[faults[0] - 1], dialogue.turns[faults[0] + 1]
        said.add((failed.name, following.name))
        asked = (failed.arguments or {}).get("query")
        assert following.kind == "after a fault"
        if following.name == "search_items":
            assert (following.arguments or {})["query"] == asked
        assert not any(turn.role == "user" for turn in dialogue.turns[faults[0] :])
    assert {("recommend", "search_items"), ("recommend", "answer")} <= said
    assert {("board_get", "answer"), ("search_items", "answer")} <= said


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
