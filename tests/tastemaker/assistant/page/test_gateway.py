"""The page on the real gateway: what it says and what the gateway understands are the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.gateway import build_app
from tastemaker.assistant.identity import IdentityConfig
from tastemaker.assistant.keys import KeyStore
from tastemaker.assistant.limits import Limits
from tastemaker.core.home import Home
from tests.tastemaker.assistant.conftest import CONFIG, URLS, Servers, serving
from tests.tastemaker.assistant.page.hands import answered, ask, opened, until
from tests.tastemaker.assistant.wires import Wired

pytestmark = pytest.mark.slow
ASK_WHO = """async () => {
  const authorization = `Bearer ${sessionStorage.getItem("api-key")}`;
  return (await fetch("/api/me", { headers: { authorization } })).status;
}"""


def stand_still(limits: Limits) -> None:
    """No time passes for the limits any more, so that no request is given back to a caller."""
    now_s = limits.clock()
    limits.clock = lambda: now_s


@pytest.fixture
def real(browser: Any, tmp_path: Path, catalogue: Catalogue, servers: Servers) -> Iterator[Any]:
    """A page of the real gateway, wide."""
    app = build_app(Home(tmp_path), catalogue, URLS, CONFIG, http=Wired(servers))
    with serving(app) as url:
        yield from opened(browser, url, width=1400)


def test_a_user_asks_saves_keeps_a_board_and_is_forgotten(real: Any) -> None:
    real.get_by_role("button", name="What is known of you", exact=True).click()
    person = real.get_by_role("complementary", name="What is known of you")
    person.get_by_label("Asking as").select_option("ada")
    ask(real, "pink vase")
    real.get_by_role("button", name="Save").first.click()
    real.get_by_text("Saved “").first.wait_for()
    person.get_by_role("list", name="Lately").wait_for()
    assert "Saved" in person.get_by_role("list", name="Lately").inner_text()

    real.get_by_role("textbox", name="Title of a new board").fill("Hall")
    real.keyboard.press("Enter")
    real.locator(".board").wait_for()
    real.locator(".card").nth(1).drag_to(real.locator(".fold"))
    real.locator(".fold").filter(has_text="1 item").wait_for()
    real.get_by_role("button", name="Rename Hall").click()
    real.get_by_role("textbox", name="Title", exact=True).fill("Bedroom")
    real.keyboard.press("Enter")
    real.locator(".fold").filter(has_text="Bedroom").wait_for()

    real.reload()
    answered(real, 6)
    real.locator(".fold").filter(has_text="Bedroom").wait_for()
    assert real.locator(".mine").inner_text() == "pink vase"
    real.get_by_role("button", name="What is known of you", exact=True).click()
    person.get_by_role("button", name="Delete this data").click()
    real.get_by_role("button", name="Delete the data").click()
    real.get_by_text("Deleted: ").first.wait_for()
    until(lambda: real.locator(".fold").count() == 0)


def test_a_click_and_a_board_say_what_they_mean(real: Any, servers: Servers) -> None:
    ask(real, "pink vase")
    real.get_by_role("button", name="More like this").first.press("Enter")
    answered(real, 12)
    real.get_by_role("button", name="Add to a board").nth(1).press("Enter")
    real.get_by_role("dialog").get_by_role("textbox").fill("Hall")
    real.keyboard.press("Enter")
    real.locator(".fold").click()
    real.get_by_role("button", name="Complete it").click()
    answered(real, 13)
    real.get_by_role("button", name="Ask about it").click()
    ask(real, "red vase", n=14)
    assert real.get_by_role("alert").count() == 0


def test_a_router_that_is_down_is_told_and_asked_again(real: Any, servers: Servers) -> None:
    servers.down = {"router"}
    real.expected.append("503")
    real.get_by_role("textbox", name="Your question").fill("pink vase")
    real.keyboard.press("Enter")
    real.locator("[aria-busy]").first.wait_for(state="detached")
    servers.down = set()
    if real.get_by_role("button", name="Try again").count():
        real.get_by_role("button", name="Try again").click()
    answered(real, 1)


def test_a_photo_of_a_room_is_shopped(real: Any, tmp_path: Path) -> None:
    photo = tmp_path / "room.png"
    Image.new("RGB", (1600, 900), (60, 90, 160)).save(photo)
    real.locator("#picture").set_input_files(photo)
    real.get_by_role("radio", name="Shop this room").check(force=True)
    real.get_by_role("button", name="Send").click()
    answered(real, 1)
    real.get_by_role("button", name="steps").or_(real.get_by_role("button", name="1 step")).click()
    plan = real.get_by_role("complementary", name="How answers are found")
    assert "Shopped the room" in plan.inner_text()


def test_a_users_key_opens_that_users_page_alone(
    browser: Any, tmp_path: Path, catalogue: Catalogue, servers: Servers
) -> None:
    locked = CONFIG.model_copy(update={"identity": IdentityConfig(auth="keys")})
    app = build_app(Home(tmp_path), catalogue, URLS, locked, http=Wired(servers))
    key, _ = KeyStore(app.state.services.engine).create("web", user_id="ada")
    with serving(app) as url:
        for page in opened(browser, url, width=1400):
            page.expected += ["401", "429"]
            dialog = page.get_by_role("dialog", name="This assistant asks for a key")
            dialog.get_by_label("API key").fill("tm_wrong")
            page.keyboard.press("Enter")
            dialog.get_by_role("alert").wait_for()
            dialog.get_by_label("API key").fill(key)
            page.keyboard.press("Enter")
            page.locator("#suggestions button").first.wait_for()
            page.get_by_role("button", name="What is known of you", exact=True).click()
            assert page.get_by_label("Asking as").locator("option").all_inner_texts() == ["ada"]
            assert page.get_by_label("Asking as").is_disabled()
            ask(page, "pink vase")
            page.get_by_role("textbox", name="Your question").fill("red lamp")
            stand_still(app.state.services.limits)
            until(lambda page=page: page.evaluate(ASK_WHO) == 429)
            page.keyboard.press("Enter")
            page.get_by_role("alert").wait_for()
            assert "Try again in" in page.get_by_role("alert").inner_text()
