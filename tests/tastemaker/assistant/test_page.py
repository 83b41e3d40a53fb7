"""The page in a real browser, against the real app; slow."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.tastemaker.assistant.conftest import HOSTILE, Gateway, Servers, call, serving

pytestmark = pytest.mark.slow
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
LOADED = "[...document.querySelectorAll('.item img')].every(i => i.complete && i.naturalWidth > 0)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        assert not os.environ.get("CI"), "CI must have a browser"
        pytest.skip("no chromium or google-chrome on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        launched = play.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any, gateway: Gateway) -> Iterator[Any]:
    """A page of the app; at the end, nothing was written to its console and no dialog opened."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on("console", lambda said: wrong.append(said.text))
    opened.on("dialog", lambda dialog: wrong.append(dialog.message))
    with serving(gateway.app) as url:
        opened.goto(url)
        yield opened
        context.close()
    assert wrong == []


def ask(page: Any, question: str, n: int = 1) -> None:
    page.get_by_role("textbox", name="Your question").fill(question)
    page.keyboard.press("Enter")
    wait_for_pictures(page, n)


def wait_for_pictures(page: Any, n: int) -> None:
    page.locator(".item img").nth(n - 1).wait_for()
    page.locator(".item img").nth(n - 1).scroll_into_view_if_needed()
    end = time.monotonic() + 10
    while not page.evaluate(LOADED):  # wait_for_function needs eval, which the page forbids
        assert time.monotonic() < end, "a picture did not load"
        time.sleep(0.05)


def test_a_question_is_answered_with_pictures(page: Any, tmp_path: Path) -> None:
    ask(page, "pink vase")
    answer = page.locator("#log > li").last
    assert answer.locator(".said").inner_text() == "Here is what I found."
    items = answer.locator(".items > li")
    assert items.count() == 6
    assert "vase" in items.first.inner_text()
    assert items.first.locator("img").get_attribute("alt")
    assert "2 steps" in answer.locator("summary").inner_text()
    assert page.get_by_role("status").inner_text() == "Here is what I found. 6 items."
    page.screenshot(path=str(tmp_path / "page.png"))


def test_a_click_shows_more_like_it(page: Any) -> None:
    ask(page, "pink vase")
    title = page.locator(".item").nth(1).locator(".title").inner_text()
    page.locator(".item").nth(1).focus()
    page.keyboard.press("Enter")
    wait_for_pictures(page, 12)
    assert page.locator(".mine img").get_attribute("alt") == title
    page.get_by_role("button", name="New chat").click()
    assert page.locator("#log > li").count() == 0


def test_item_text_is_shown_as_text(page: Any, gateway: Gateway) -> None:
    first = gateway.http.get("/items/demo-00000").json()
    ask(page, f"{first['attributes']['color']} {first['category']}")
    assert HOSTILE in page.locator(".items").inner_text()


def test_an_error_is_told_and_can_be_retried(page: Any, servers: Servers) -> None:
    def breaks(messages: list[dict[str, Any]]) -> dict[str, Any]:
        servers.down = {"router"}
        return call("search_items", query="vase")

    scripted, servers.script = servers.script, breaks
    page.get_by_role("textbox", name="Your question").fill("pink vase")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert "router" in page.get_by_role("alert").inner_text()
    servers.down, servers.script = set(), scripted
    page.get_by_role("button", name="Try again").click()
    wait_for_pictures(page, 6)
    assert page.locator("#log > li").count() == 2


def test_a_phone_shows_everything_without_scrolling_sideways(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    ask(page, "pink vase")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_suggestion_and_a_user_can_be_picked(page: Any, servers: Servers) -> None:
    page.get_by_label("Asking as").select_option("ada")
    page.locator("#suggestions button").first.click()
    wait_for_pictures(page, 1)
    assert servers.asked["recommender"][0]["user_id"] == "ada"
