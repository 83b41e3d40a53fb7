"""The user's own picture: by button, by paste and by drop, made small before it is sent."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.tastemaker.assistant.page.hands import answered
from tests.tastemaker.assistant.page.server import Stand

pytestmark = pytest.mark.slow
GIVE = """([kind, bytes, target]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(bytes)], "p.png", { type: "image/png" }));
  const init = { bubbles: true, cancelable: true };
  document.body.dispatchEvent(kind === "paste"
    ? new ClipboardEvent("paste", { ...init, clipboardData: data })
    : new DragEvent("drop", { ...init, dataTransfer: data }));
}"""


def png(size: tuple[int, int]) -> bytes:
    held = io.BytesIO()
    Image.new("RGBA", size, (200, 40, 90, 128)).save(held, "PNG")
    return held.getvalue()


def sent(stand: Stand) -> tuple[str, Image.Image, dict[str, Any]]:
    """Text, picture and extension of the last request."""
    body = stand.chats[-1][1]
    text, picture = body["messages"][-1]["content"]
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    return text["text"], Image.open(io.BytesIO(base64.b64decode(data))), body["tastemaker"]


def test_a_big_picture_is_made_small_and_shopped(page: Any, stand: Stand, tmp_path: Path) -> None:
    file = tmp_path / "room.png"
    file.write_bytes(png((3000, 1500)))
    page.locator("#picture").set_input_files(file)
    page.get_by_role("radio", name="Shop this room").check(force=True)
    page.get_by_role("button", name="Send").click()
    answered(page, 6)
    text, picture, ours = sent(stand)
    assert (text, picture.size, ours) == ("Shop this room", (1024, 512), {"shop_room": True})
    assert page.locator(".mine img").get_attribute("alt") == "Your picture"
    assert page.locator("#attached").is_hidden()


def test_a_pasted_and_a_dropped_picture(page: Any, stand: Stand) -> None:
    page.evaluate(GIVE, ["paste", list(png((40, 30))), ""])
    page.get_by_role("img", name="Your picture").wait_for()
    page.get_by_role("button", name="Remove the picture").click()
    assert page.get_by_role("img", name="Your picture").is_hidden()
    page.evaluate(GIVE, ["drop", list(png((40, 30))), ""])
    page.get_by_role("img", name="Your picture").wait_for()
    assert page.get_by_role("radio", name="Find similar").is_checked()
    page.get_by_role("textbox", name="Your question").fill("like this in blue")
    page.keyboard.press("Enter")
    answered(page, 6)
    text, picture, ours = sent(stand)
    assert (text, picture.size, ours) == ("like this in blue", (40, 30), {})
    red, green, blue = picture.convert("RGB").getpixel((5, 5))
    assert min(red, green, blue) > 100  # the transparent half became white


def test_a_file_that_is_no_picture_is_refused(page: Any, tmp_path: Path) -> None:
    file = tmp_path / "note.png"
    file.write_bytes(b"not a picture")
    page.locator("#picture").set_input_files(file)
    page.get_by_text("not a picture that this browser can read").first.wait_for()
    assert page.locator("#attached").is_hidden()
