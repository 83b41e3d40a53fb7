"""What the page does when the answer is late, breaks off or is refused; in a real browser."""

from typing import Any

import pytest

from tests.tastemaker.assistant.page.hands import answered, ask, until
from tests.tastemaker.assistant.page.server import Refusal, Stand

pytestmark = pytest.mark.slow


def say(page: Any, question: str) -> None:
    page.get_by_role("textbox", name="Your question").fill(question)
    page.keyboard.press("Enter")


def test_an_answer_can_be_stopped(page: Any, stand: Stand) -> None:
    stand.pause_s = 1.0
    say(page, "pink vase")
    page.get_by_text("Searched the catalogue…").wait_for()
    assert page.locator("[aria-busy] .loading").first.is_visible()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Ask again").wait_for()
    assert page.get_by_role("status").inner_text() == "Stopped."
    assert page.get_by_role("button", name="Send").is_visible()
    stand.pause_s = 0.0
    page.get_by_role("button", name="Ask again").click()
    answered(page, 6)
    assert page.locator("#log > li").count() == 2
    assert stand.chats[0][0] != stand.chats[1][0]  # asked anew


def test_words_come_in_one_by_one(page: Any, stand: Stand) -> None:
    stand.pause_s = 2.0  # long enough to be seen on a busy machine
    say(page, "pink vase")
    page.get_by_text("Here is", exact=True).wait_for()
    answered(page, 6)
    assert page.locator(".said").inner_text() == "Here is what I found."


def test_a_dropped_connection_is_tried_again_under_the_same_key(page: Any, stand: Stand) -> None:
    stand.drops = 1
    ask(page, "pink vase")
    assert len(stand.chats) == 2
    assert stand.chats[0] == stand.chats[1]
    assert page.locator("#log > li").count() == 2
    stand.drops = 3
    say(page, "red lamp")
    page.get_by_role("alert").wait_for()
    assert "broke off" in page.get_by_role("alert").inner_text()
    page.get_by_role("button", name="Try again").click()
    answered(page, 12)
    assert len({key for key, _ in stand.chats[2:]}) == 1


def test_too_many_requests_say_when_to_come_back(page: Any, stand: Stand) -> None:
    stand.refuse = [Refusal(429, "60 requests a minute", {"Retry-After": "2"})]
    page.expected.append("429")
    say(page, "pink vase")
    page.get_by_role("alert").wait_for()
    assert "Try again in 2 seconds" in page.get_by_role("alert").inner_text()
    again = page.get_by_role("button", name="Try again in")
    assert again.is_disabled()
    page.get_by_role("button", name="Try again", exact=True).click()
    answered(page, 6)


def test_an_error_is_told_and_can_be_retried(page: Any, stand: Stand) -> None:
    stand.refuse = [Refusal(503, "router: connection refused")]
    page.expected.append("503")
    say(page, "pink vase")
    page.get_by_role("alert").wait_for()
    assert "router" in page.get_by_role("alert").inner_text()
    page.get_by_role("button", name="Try again").click()
    answered(page, 6)
    assert page.locator("#log > li").count() == 2


def test_a_key_is_asked_for_and_kept_in_this_tab(page: Any, stand: Stand) -> None:
    stand.key = "right"
    page.expected.append("401")
    say(page, "pink vase")
    dialog = page.get_by_role("dialog", name="This assistant asks for a key")
    dialog.get_by_label("API key").fill("wrong")
    page.keyboard.press("Enter")
    dialog.get_by_role("alert").wait_for()
    assert dialog.get_by_role("alert").inner_text() == "unknown key"
    dialog.get_by_label("API key").fill("right")
    page.keyboard.press("Enter")
    answered(page, 6)
    assert page.evaluate("Object.values(sessionStorage).includes('right')")
    assert not page.evaluate("Object.values(localStorage).includes('right')")
    page.reload()
    answered(page, 6)
    assert page.get_by_role("button", name="API key").is_visible()


def test_a_key_can_be_declined(page: Any, stand: Stand) -> None:
    stand.key = "right"
    page.expected.append("401")
    page.reload()
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_text("no key was given").first.wait_for()
    say(page, "pink vase")
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("alert").wait_for()
    assert "A key is needed" in page.get_by_role("alert").inner_text()


def test_an_event_that_does_not_arrive_is_told(page: Any, stand: Stand) -> None:
    ask(page, "pink vase")
    stand.key = "right"
    page.expected.append("401")
    save = page.get_by_role("button", name="Save").first
    save.click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    until(lambda: save.get_attribute("aria-pressed") == "false")
