"""Boards by keyboard and by drag and drop, and what the assistant does with one; in a browser."""

from typing import Any

import pytest

from tests.tastemaker.assistant.page.hands import answered, ask, focused, until
from tests.tastemaker.assistant.page.server import Stand

pytestmark = pytest.mark.slow


def make_board(page: Any, title: str, num_items: int) -> None:
    """Makes a board of the first cards, by the cards' own dialog."""
    for place in range(num_items):
        page.get_by_role("button", name="Add to a board").nth(place).press("Enter")
        dialog = page.get_by_role("dialog")
        if place:
            dialog.get_by_role("button", name=title).click()
        else:
            dialog.get_by_role("textbox").fill(title)
            page.keyboard.press("Enter")
        many = "1 item" if place == 0 else f"{place + 1} items"
        page.locator(".fold").filter(has_text=many).wait_for()


def titles(page: Any, title: str) -> list[str]:
    pieces = page.get_by_role("list", name=f"Items of {title}")
    listed: list[str] = pieces.locator(".title").all_inner_texts()
    return listed


def test_boards_by_keyboard(page: Any, stand: Stand) -> None:
    ask(page, "pink vase")
    make_board(page, "Living room", 3)
    until(lambda: len(stand.boards["b1"]["items"]) == 3)
    first, second, third = stand.boards["b1"]["items"]
    name = stand.catalogue.item(first).title
    page.get_by_role("button", name="Living room").press("Enter")
    page.get_by_role("button", name="Move down").first.press("Enter")
    assert page.get_by_role("status").inner_text() == f"{name}: place 2 of 3."
    until(lambda: stand.boards["b1"]["items"] == [second, first, third])
    assert focused(page) == f"Move down: {name}"
    page.keyboard.press("Enter")
    until(lambda: stand.boards["b1"]["items"] == [second, third, first])
    assert focused(page) == f"Move up: {name}"  # it cannot go further down
    page.get_by_role("button", name="Take off the board").first.press("Enter")
    until(lambda: stand.boards["b1"]["items"] == [third, first])
    assert "Living room" in focused(page)

    page.get_by_role("button", name="Rename Living room").press("Enter")
    page.get_by_role("textbox", name="Title", exact=True).fill("Bedroom")
    page.keyboard.press("Enter")
    page.locator(".fold").filter(has_text="Bedroom").wait_for()
    until(lambda: stand.boards["b1"]["title"] == "Bedroom")
    assert focused(page) == "Rename Bedroom"
    page.get_by_role("button", name="Delete Bedroom").press("Enter")
    page.keyboard.press("Escape")
    assert stand.boards
    assert focused(page) == "Delete Bedroom"
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Delete the board").press("Enter")
    page.get_by_text("No boards yet").wait_for()
    until(lambda: not stand.boards)


def test_boards_by_drag_and_drop(page: Any, stand: Stand) -> None:
    ask(page, "pink vase")
    page.get_by_role("textbox", name="Title of a new board").fill("Hall")
    page.keyboard.press("Enter")
    place = page.locator(".board")
    place.wait_for()
    cards = page.locator(".card")
    for n in range(3):
        cards.nth(n).drag_to(place.locator(".fold"))
        until(lambda n=n: len(stand.boards["b1"]["items"]) == n + 1)
    shown = cards.locator(".title").all_inner_texts()[:3]
    assert titles(page, "Hall") == shown
    pieces = page.locator(".piece")
    pieces.nth(2).drag_to(pieces.nth(0), target_position={"x": 20, "y": 2})
    until(lambda: titles(page, "Hall") == [shown[2], shown[0], shown[1]])
    kept = lambda: [stand.catalogue.item(i).title for i in stand.boards["b1"]["items"]]  # noqa: E731
    until(lambda: kept() == titles(page, "Hall"))
    cards.nth(0).drag_to(place.locator(".fold"))
    page.get_by_text("has it already").first.wait_for()


def test_a_board_can_be_asked_about_and_completed(page: Any, stand: Stand) -> None:
    ask(page, "pink vase")
    make_board(page, "Hall", 2)
    page.get_by_role("button", name="Hall").click()
    page.get_by_role("button", name="Ask about it").click()
    assert page.get_by_text("About “Hall”").is_visible()
    assert focused(page) == ""  # the question, still empty
    ask(page, "what colours are in it", n=12)
    assert stand.chats[-1][1]["tastemaker"]["board"] == "b1"
    page.get_by_role("button", name="Do not ask about this board").click()
    page.get_by_role("button", name="Complete it").click()
    answered(page, 18)
    ours = stand.chats[-1][1]["tastemaker"]
    assert ours == {"conversation": "c1", "complete_board": "b1"}


def test_a_change_that_is_refused_is_undone(page: Any, stand: Stand) -> None:
    ask(page, "pink vase")
    make_board(page, "Hall", 2)
    until(lambda: len(stand.boards["b1"]["items"]) == 2)
    page.get_by_role("button", name="Hall").click()
    gone, stand.boards = stand.boards, {}
    page.expected.append("404")
    page.get_by_role("button", name="Move down").first.click()
    page.get_by_text("no such board").first.wait_for()
    page.get_by_text("No boards yet").wait_for()
    assert gone
