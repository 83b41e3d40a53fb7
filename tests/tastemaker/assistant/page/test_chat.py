"""Asking, looking closer, saving, hiding, and what stays after a reload; in a real browser."""

import re
from typing import Any

import pytest

from tests.tastemaker.assistant.conftest import HOSTILE
from tests.tastemaker.assistant.page.hands import answered, ask, focused, until
from tests.tastemaker.assistant.page.server import Stand

pytestmark = pytest.mark.slow


def test_a_question_is_answered_with_pictures_and_a_plan(page: Any, stand: Stand) -> None:
    stand.notices = ["The recommender rests: popular items instead."]
    ask(page, "pink vase")
    answer = page.locator("#log > li").last
    assert answer.locator(".said").inner_text() == "Here is what I found."
    assert answer.locator(".notice").inner_text() == stand.notices[0]
    cards = answer.get_by_role("list", name="Items").get_by_role("listitem")
    assert cards.count() == 6
    assert "vase" in cards.first.inner_text()
    assert cards.first.locator("img").get_attribute("alt")
    said = page.get_by_role("status").inner_text()
    assert said == f"Here is what I found. {stand.notices[0]} 6 items."

    page.get_by_role("button", name="2 steps").click()
    plan = page.get_by_role("complementary", name="How answers are found")
    text = plan.inner_text()
    assert "Searched the catalogue" in text
    assert "pink vase" in text
    assert "122 ms thinking · 38 ms tool · 6 items as @1 · 412 + 18 tokens · 0.0021 ¢" in text
    totals = plan.locator("#totals dd")
    assert totals.all_inner_texts() == ["1", "860", "320 ms", "0.0042 ¢"]
    ask(page, "red lamp", n=12)
    assert totals.all_inner_texts() == ["2", "1,720", "640 ms", "0.0084 ¢"]


def test_item_text_is_shown_as_text(page: Any, stand: Stand) -> None:
    first = stand.catalogue.items[0]
    ask(page, f"{first.attributes['color']} {first.category}")
    card = page.locator(".card").filter(has_text=HOSTILE)
    card.get_by_role("button", name="Save").click()
    page.get_by_text(f"Saved “{HOSTILE}”").first.wait_for()
    card.locator(".look").click()
    assert page.get_by_role("dialog").get_by_role("heading").inner_text() == HOSTILE
    page.get_by_role("dialog").get_by_role("button", name="Add to a board").click()
    page.get_by_role("dialog").get_by_role("textbox").fill(HOSTILE)
    page.keyboard.press("Enter")
    page.get_by_role("button", name=HOSTILE).filter(has_text="1 item").wait_for()


def test_saving_and_hiding_change_the_next_answer(page: Any, stand: Stand) -> None:
    ask(page, "pink")
    cards = page.locator(".card")
    before = cards.locator(".title").all_inner_texts()
    save = cards.nth(1).get_by_role("button", name="Save")
    save.press("Enter")
    page.get_by_text("Your next answers lean towards it").first.wait_for()
    assert save.get_attribute("aria-pressed") == "true"
    cards.nth(0).get_by_role("button", name="Hide").press("Enter")
    page.get_by_text("You will see less like it").first.wait_for()
    assert focused(page).startswith("2: ")
    actions = [(event["action"], event["surface"]) for event in stand.events]
    assert actions == [("save", "assistant"), ("hide", "assistant")]
    assert {event["user"] for event in stand.events} == {stand.chats[0][1]["user"]}

    ask(page, "pink", n=12)
    new = page.locator(".items").last
    assert before[0] not in new.locator(".title").all_inner_texts()
    saved = stand.catalogue.item(stand.events[0]["item_id"])
    assert new.locator(".under > :first-child").first.inner_text() == saved.category


def test_a_closer_look_by_keyboard_and_more_like_it(page: Any, stand: Stand) -> None:
    ask(page, "pink vase")
    look = page.locator(".look").nth(1)
    look.press("Enter")
    dialog = page.get_by_role("dialog")
    title = page.locator(".card .title").nth(1).inner_text()
    assert dialog.get_by_role("heading").inner_text() == title
    dialog.get_by_text("material").wait_for()
    page.keyboard.press("Escape")
    assert focused(page).startswith(f"2: {title}")
    until(lambda: stand.events and stand.events[-1]["action"] == "closeup")
    look.press("Enter")
    assert focused(page) == "More like this"
    page.keyboard.press("Enter")
    answered(page, 12)
    assert page.locator(".mine img").get_attribute("alt") == title
    sent = stand.chats[-1][1]
    assert sent["tastemaker"] == {
        "conversation": "c1",
        "similar_to": stand.events[-1]["item_id"],
    }
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    page.get_by_role("button", name="New conversation").click()
    assert page.locator("#log > li").count() == 0
    ask(page, "lamp")
    assert stand.chats[-1][1]["tastemaker"] == {}


def test_a_user_is_chosen_seen_and_deleted(page: Any, stand: Stand) -> None:
    ask(page, "pink vase")
    page.get_by_role("button", name="What is known of you", exact=True).click()
    page.get_by_label("Asking as").select_option("ada")
    page.get_by_text("Asking as ada, in a new conversation.").first.wait_for()
    assert page.get_by_text("What are you looking for?").is_visible()
    ask(page, "pink vase")
    assert stand.chats[-1][1]["user"] == "ada"
    page.get_by_role("button", name="Save").first.click()
    person = page.get_by_role("complementary", name="What is known of you")
    person.get_by_role("list", name="Lately").wait_for()
    assert "vase" in person.get_by_role("list", name="Categories").inner_text()
    assert "100 %" in person.get_by_role("list", name="Styles").inner_text()
    assert "taste profile 2 seconds behind" in person.inner_text()
    row = person.get_by_role("row", name=re.compile("^save", re.IGNORECASE))
    assert row.get_by_role("cell").all_inner_texts() == ["1", "1", "1"]
    person.get_by_role("button", name="Delete this data").click()
    dialog = page.get_by_role("dialog", name="Delete everything about ada?")
    assert focused(page) == "Cancel"
    dialog.get_by_role("button", name="Delete the data").click()
    page.get_by_text("Deleted: 1 events.").first.wait_for()
    assert not stand.events
    assert page.locator("#log > li").count() == 0


def test_a_conversation_survives_a_reload(page: Any, stand: Stand) -> None:
    ask(page, "pink vase")
    page.get_by_role("button", name="Save").first.click()
    ask(page, "red lamp", n=12)
    page.reload()
    answered(page, 12)
    pressed = page.get_by_role("button", name="Save", pressed=True)
    assert pressed.count() >= 1  # on each card of that item
    assert page.locator(".mine").all_inner_texts() == ["pink vase", "red lamp"]
    assert page.get_by_text("What are you looking for?").is_hidden()
    assert page.locator("#totals dd").first.text_content() == "2"
    ask(page, "and a rug", n=18)
    sent = stand.chats[-1][1]
    assert sent["tastemaker"] == {"conversation": "c1"}
    assert len(sent["messages"]) == 5
    stand.conversations.clear()
    page.expected.append("404")
    page.reload()
    until(lambda: page.evaluate("sessionStorage.getItem('conversation')") is None)
    assert page.get_by_text("What are you looking for?").is_visible()
