"""What tests do on a page, and how long they wait for it."""

import time
from collections.abc import Callable, Iterator
from typing import Any

LOADED = "[...document.querySelectorAll('.look img')].every(i => i.complete && i.naturalWidth > 0)"
PATIENCE_S = 10.0


def opened(browser: Any, address: str, **how: Any) -> Iterator[Any]:
    """A page, begun; at the end nothing was written to its console and no browser dialog opened.

    Args:
        browser: What opens it.
        address: Of the server.
        how: `width` and `height` in pixels, and options of the browser's context.

    Yields:
        The page; a test that provokes an error adds words of it to `page.expected`.
    """
    size = {"width": how.pop("width"), "height": how.pop("height", 900)}
    context = browser.new_context(viewport=size, **how)
    context.set_default_timeout(1000 * PATIENCE_S)
    page = context.new_page()
    page.expected = []
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text))
    page.on("dialog", lambda dialog: wrong.append(dialog.message))
    page.goto(address)
    page.locator("#suggestions button, dialog[open]").first.wait_for()
    yield page
    context.close()
    assert [line for line in wrong if not any(word in line for word in page.expected)] == []


def ask(page: Any, question: str, n: int = 1) -> None:
    """Asks, and waits for so many pictures on the whole page."""
    page.get_by_role("textbox", name="Your question").fill(question)
    page.keyboard.press("Enter")
    answered(page, n)


def answered(page: Any, n: int) -> None:
    """Waits for the end of an answer, and for so many pictures on the whole page."""
    page.locator(".look img").nth(n - 1).wait_for()
    page.locator("[aria-busy]").first.wait_for(state="detached")
    page.locator(".look img").nth(n - 1).scroll_into_view_if_needed()
    until(lambda: page.evaluate(LOADED))  # wait_for_function needs eval, which the page forbids


def until(holds: Callable[[], Any]) -> None:
    """Waits until something holds.

    Raises:
        AssertionError: It does not in time.
    """
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.03)


def focused(page: Any) -> str:
    """The label, else the text, of what has the focus."""
    with_focus = page.locator(":focus")
    label: str | None = with_focus.get_attribute("aria-label")
    return label or str(with_focus.inner_text())
