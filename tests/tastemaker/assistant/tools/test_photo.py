import base64
import io
import struct
import zlib

import pytest
from PIL import Image

from tastemaker.assistant.tools.photo import cut, open_photo, overlap, windows
from tastemaker.assistant.tools.situation import CallError

MAX_INSTANCES = 64  # of the encoder server


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> str:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return base64.b64encode(out.getvalue()).decode()


def claimed_size(width: int, height: int) -> bytes:
    """A PNG whose head claims a size, with next to nothing behind it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 10))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("not base64!", "is not one of JPEG"),
        (base64.b64encode(b"GIF89a not a picture").decode(), "is not one of|is broken"),
        (base64.b64encode(b"<svg></svg>").decode(), "is not one of JPEG"),
        ("", "is not one of JPEG"),
        (base64.b64encode(claimed_size(60_000, 60_000)).decode(), "more than 20000000 pixels"),
        (base64.b64encode(claimed_size(5000, 5000)).decode(), "5000x5000 pixels; at most 20000000"),
        (base64.b64encode(claimed_size(50, 50)).decode(), "is broken"),
    ],
)
def test_a_bad_picture_is_refused_before_it_costs_anything(image: str, said: str) -> None:
    with pytest.raises(CallError, match=said):
        open_photo(image)


def test_a_truncated_picture_is_broken() -> None:
    whole = base64.b64decode(encoded(Image.effect_noise((300, 300), 90).convert("RGB"), "JPEG"))
    with pytest.raises(CallError, match="is broken"):
        open_photo(base64.b64encode(whole[: len(whole) // 3]).decode())


def test_a_large_picture_is_made_smaller_and_a_turned_one_upright() -> None:
    assert open_photo(encoded(Image.new("RGB", (3000, 1500)), "JPEG")).size == (1024, 512)
    turned = Image.Exif()
    turned[0x0112] = 6  # quarter turn
    photo = open_photo(encoded(Image.new("RGB", (80, 40)), "JPEG", exif=turned))
    assert photo.size == (40, 80)
    assert open_photo(encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 128)))).mode == "RGB"


def test_windows_cover_the_photo_at_each_size() -> None:
    assert windows((1.0,)) == [(0.0, 0.0, 1.0, 1.0)]
    boxes = windows()
    assert len(boxes) == 1 + 9 + 49 <= MAX_INSTANCES  # one request to the encoder
    for part in (boxes[1:10], boxes[10:]):
        assert min(x for x, *_ in part) == 0.0
        assert max(right for *_, right, _ in part) == pytest.approx(1.0)


def test_a_cut_is_what_the_window_shows() -> None:
    photo = Image.new("RGB", (100, 100), "red")
    photo.paste("blue", (50, 50, 100, 100))
    last = Image.open(io.BytesIO(base64.b64decode(cut(photo, [(0.5, 0.5, 1.0, 1.0)])[0])))
    assert last.size == (50, 50)
    assert last.getpixel((25, 25))[2] > 200
    assert len(cut(Image.new("RGB", (1, 1)), windows())) == 59


def test_overlap_by_hand() -> None:
    assert overlap((0, 0, 1, 1), (0, 0, 0.5, 0.5)) == 1.0  # the smaller lies in the larger
    assert overlap((0, 0, 0.5, 0.5), (0.25, 0, 0.75, 0.5)) == pytest.approx(0.5)
    assert overlap((0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1)) == 0.0
