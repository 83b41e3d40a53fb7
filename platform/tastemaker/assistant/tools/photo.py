"""A photo of the user's own: opened with care, and cut into overlapping windows.

A box is (left, top, right, bottom) in fractions of the photo, each 0..1.
"""

import base64
import binascii
import io
import itertools
import warnings
from collections.abc import Sequence

from PIL import Image, ImageOps, UnidentifiedImageError

from tastemaker.assistant.tools.situation import CallError

Box = tuple[float, float, float, float]

MAX_PIXELS = 20_000_000
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
_PHOTO_PX = 1024  # longer side that windows are cut from
_WINDOW_PX = 224  # longer side of a window as it is sent
# Side of the windows beside the photo's, in steps of half a window: 1 + 9 + 49 windows, which one
# request holds. Chosen on 40 generated rooms (benchmarks/shop_room.py --first-seed 1000).
SIDES = (1.0, 0.5, 0.25)


def open_photo(image: str) -> Image.Image:
    """Decode a photo that came over the network.

    Args:
        image: Base64 of an image file.

    Returns:
        RGB, upright, at most 1024 px wide and high.

    Raises:
        CallError: Not base64, not a picture of a known format, broken, or above `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata and of size, which is checked here
            opened = Image.open(
                io.BytesIO(base64.b64decode(image, validate=True)), formats=_FORMATS
            )
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise CallError(f"the picture has {width}x{height} pixels; at most {MAX_PIXELS}")
            opened.draft("RGB", (_PHOTO_PX, _PHOTO_PX))
            upright = ImageOps.exif_transpose(opened).convert("RGB")
    except CallError:
        raise
    except (binascii.Error, UnidentifiedImageError):
        raise CallError(f"the picture is not one of {', '.join(_FORMATS)}") from None
    except Image.DecompressionBombError:
        raise CallError(f"the picture has more than {MAX_PIXELS} pixels") from None
    except Exception as error:  # Pillow's decoders raise almost anything on broken files
        raise CallError(f"the picture is broken: {type(error).__name__}") from None
    upright.thumbnail((_PHOTO_PX, _PHOTO_PX))
    return upright


def windows(sides: Sequence[float] = SIDES) -> list[Box]:
    """Overlapping windows of several sizes that cover a photo, the largest first.

    Args:
        sides: Of a window, in fractions of the photo's sides, each in (0, 1].
    """
    boxes = []
    for side in sides:
        steps = max(1, round((1 - side) / (side / 2))) if side < 1 else 0
        at = [(1 - side) * n / steps for n in range(steps + 1)] if steps else [0.0]
        boxes += [(x, y, x + side, y + side) for y in at for x in at]
    return boxes


def around(box: Box, scale: float, shift: float) -> list[Box]:
    """Windows a little smaller and larger than one, each moved to its four corners.

    Args:
        box: The window.
        scale: Of the larger ones, > 1; the smaller ones are as much smaller.
        shift: How far they are moved along each side, in fractions of that side.

    Returns:
        Eight windows, cut off at the photo's edges.
    """
    wide, high = box[2] - box[0], box[3] - box[1]
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    found = []
    for side in (1 / scale, scale):
        for dx, dy in itertools.product((-shift, shift), repeat=2):
            left, top = x + dx * wide - side * wide / 2, y + dy * high - side * high / 2
            right, bottom = left + side * wide, top + side * high
            found.append((max(0.0, left), max(0.0, top), min(1.0, right), min(1.0, bottom)))
    return found


def cut(photo: Image.Image, boxes: Sequence[Box]) -> list[str]:
    """The windows of a photo as base64 JPEGs."""
    width, height = photo.size
    found = []
    for left, top, right, bottom in boxes:
        corner = (round(left * width), round(top * height))
        end = (max(corner[0] + 1, round(right * width)), max(corner[1] + 1, round(bottom * height)))
        window = photo.crop((*corner, *end))
        window.thumbnail((_WINDOW_PX, _WINDOW_PX))
        out = io.BytesIO()
        window.save(out, "JPEG", quality=90)
        found.append(base64.b64encode(out.getvalue()).decode())
    return found


def overlap(one: Box, other: Box) -> float:
    """The part of the smaller box that the two share, 0..1."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = ((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return wide * high / max(min(areas), 1e-12)
