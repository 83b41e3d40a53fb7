"""Phone, keyboard, contrast, themes and motion; and what no file of the page may hold."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tastemaker.assistant.api.page import FOLDER
from tests.tastemaker.assistant.page.hands import ask, focused, opened
from tests.tastemaker.assistant.page.server import Stand

PAIRS = [
    (ink, ground)
    for ink in ("--ink", "--soft", "--bad", "--accent")
    for ground in ("--paper", "--card", "--raised")
] + [("--ink", "--mine"), ("--on-accent", "--accent"), ("--paper", "--ink"), ("--paper", "--bad")]
COLOR = """names => names.map(name => {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `var(${name})`;
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
})"""


@pytest.fixture
def phone(browser: Any, address: str) -> Iterator[Any]:
    how = {"is_mobile": True, "has_touch": True}
    yield from opened(browser, address, width=390, height=844, **how)


def luminance(color: str) -> float:
    """Relative luminance of "rgb(r, g, b)", by WCAG 2."""
    levels = [int(level) / 255 for level in re.findall(r"\d+", color)[:3]]
    red, green, blue = (
        level / 12.92 if level <= 0.04045 else ((level + 0.055) / 1.055) ** 2.4 for level in levels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_by_hand() -> None:
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


def test_no_file_makes_markup_of_text_or_reaches_out() -> None:
    for file in FOLDER.iterdir():
        text = file.read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
            assert word not in text, f"{word} in {file.name}"
        found = [url for url in re.findall(r"https?://[^\s\"']+", text) if "w3.org" not in url]
        assert found == [], file.name
        if file.suffix == ".html":
            assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?! src)", text)


@pytest.mark.slow
def test_both_themes_can_be_read(page: Any) -> None:
    papers = []
    for theme in ("system", "light", "dark"):
        button = page.get_by_role("button", name=f"Theme: {theme}")
        (paper,) = page.evaluate(COLOR, ["--paper"])
        papers.append(paper)
        for pair in PAIRS:
            ratio = contrast(*page.evaluate(COLOR, list(pair)))
            assert ratio >= 4.5, f"{pair} in {theme}: {ratio:.2f}"
        button.click()
    assert papers[0] == papers[1] != papers[2]
    page.get_by_role("button", name="Theme: system").press("Enter")
    page.get_by_role("button", name="Theme: light").press("Enter")
    page.reload()
    assert page.evaluate(COLOR, ["--paper"]) == papers[2:]
    page.get_by_role("button", name="Theme: dark").press("Enter")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(COLOR, ["--paper"]) == papers[2:]


@pytest.mark.slow
def test_a_phone_shows_everything_without_scrolling_sideways(phone: Any, stand: Stand) -> None:
    sideways = "Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)"
    assert phone.evaluate(sideways) <= 390
    ask(phone, "pink vase")
    phone.get_by_role("button", name="Save").first.tap()
    phone.get_by_role("button", name="Add to a board").first.tap()
    phone.get_by_role("dialog").get_by_role("textbox").fill("A board with a long name " * 3)
    phone.get_by_role("button", name="Create and add").tap()
    for name in ("Boards", "What is known of you", "How answers are found"):
        phone.get_by_role("button", name=name, exact=True).tap()
        drawer = phone.get_by_role("complementary", name=name)
        drawer.wait_for()
        if name == "Boards":
            drawer.locator(".fold").tap()
        assert phone.evaluate(sideways) <= 390
        wide = "e => e.scrollWidth > e.clientWidth"
        assert not drawer.evaluate(wide), f"{name} scrolls sideways"
        assert phone.get_by_role("main").evaluate("e => e.inert")
        phone.keyboard.press("Escape")
        assert drawer.is_hidden()
        assert focused(phone) == name
    assert not phone.get_by_role("main").evaluate("e => e.inert")


@pytest.mark.slow
def test_a_drawer_keeps_the_focus(phone: Any) -> None:
    phone.get_by_role("button", name="Boards", exact=True).press("Enter")
    assert focused(phone) == "Boards"
    for _ in range(6):
        phone.keyboard.press("Tab")
        inside = "!document.activeElement.closest('main, header')"
        assert phone.evaluate(inside)
    phone.keyboard.press("Escape")
    phone.get_by_role("button", name="Boards", exact=True).press("Enter")
    phone.mouse.click(380, 400)  # beside the drawer
    assert phone.get_by_role("complementary", name="Boards").is_hidden()


@pytest.mark.slow
def test_the_keyboard_alone_is_enough(page: Any) -> None:
    page.get_by_role("list", name="Example questions").get_by_role("button").first.wait_for()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the question"
    page.keyboard.press("Enter")
    page.keyboard.type("pink")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("vase")
    assert page.get_by_role("textbox", name="Your question").input_value() == "pink\nvase"
    page.keyboard.press("Enter")
    page.locator(".how").wait_for()
    for role in ("banner", "navigation", "main", "complementary"):
        assert page.get_by_role(role).first.is_visible(), role
    nameless = """[...document.querySelectorAll("button, input, select, textarea")]
      .filter(e => !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).length"""
    assert page.evaluate(nameless) == 0
    page.locator(".look").first.focus()
    order = []
    for _ in range(5):
        order.append(focused(page).split(":")[0].split(" ")[0])
        page.keyboard.press("Tab")
    assert order == ["1", "Save", "More", "Add", "Hide"]


@pytest.mark.slow
def test_nothing_moves_for_who_wants_no_motion(browser: Any, address: str) -> None:
    for page in opened(browser, address, width=1400, reduced_motion="reduce"):
        ask(page, "pink vase")
        running = "document.getAnimations().filter(a => a.playState === 'running').length"
        assert page.evaluate(running) == 0
