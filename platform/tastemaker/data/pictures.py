"""Pictures: verify, re-encode and fingerprint image files."""

import hashlib
import io
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 80_000_000  # a larger file is refused before it is decoded
_SIDE = 32  # of the picture that the perceptual hash sees
_COSINES = np.cos(np.pi * np.outer(np.arange(8), 2 * np.arange(_SIDE) + 1) / (2 * _SIDE))


class BadPicture(ValueError):
    """An image that cannot be used; `reason` is a few fixed words, the text says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Picture:
    """A verified picture.

    Attributes:
        jpeg: RGB JPEG without metadata.
        pixels: Digest of the decoded picture before re-encoding; equal pictures have it equal.
        fingerprint: 64-bit perceptual hash.
    """

    jpeg: bytes
    pixels: bytes
    fingerprint: int


def verify(image: bytes, *, max_side_px: int, min_side_px: int, quality: int = 88) -> Picture:
    """Decode an image file in full and write it anew.

    Args:
        image: An encoded file of any format that Pillow reads.
        max_side_px: A larger picture is scaled down to it.
        min_side_px: A picture with a shorter side is refused.
        quality: Of the JPEG, 1 to 95.

    Returns:
        The picture, upright, on white where it was transparent.

    Raises:
        BadPicture: The file does not decode, or its size is out of range.
    """
    decoded = _decode(image, min_side_px)
    pixels = hashlib.sha256(repr(decoded.size).encode() + decoded.tobytes()).digest()[:12]
    if max(decoded.size) > max_side_px:
        decoded.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    decoded.save(out, "JPEG", quality=quality)
    return Picture(out.getvalue(), pixels, perceptual_hash(decoded))


def perceptual_hash(image: Image.Image) -> int:
    """64 bits of the picture's low frequencies: robust to scale, quality, light and noise.

    A bit says whether one of the 8x8 lowest cosine frequencies of the brightness is above their
    median; the first, the mean brightness, is left 0.
    """
    grey = image.convert("L").resize((_SIDE, _SIDE), Image.Resampling.BOX)
    pixels = np.asarray(grey, np.float64)
    low = (_COSINES @ pixels @ _COSINES.T).reshape(-1)
    bits = low > np.median(low[1:])
    bits[0] = False
    return int(np.packbits(bits).view(">u8")[0])


def _decode(image: bytes, min_side_px: int) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; the pixels decide
            opened = Image.open(io.BytesIO(image))
            width, height = opened.size
            if width * height > MAX_PIXELS:
                raise BadPicture("image too large", f"{width}x{height}, limit {MAX_PIXELS} pixels")
            if min(width, height) < min_side_px:
                raise BadPicture("image too small", f"{width}x{height}, least side {min_side_px}")
            opened.load()
            upright = ImageOps.exif_transpose(opened)
    except BadPicture:
        raise
    except UnidentifiedImageError:
        raise BadPicture("unreadable image", "not an image of a known format") from None
    except Exception as error:  # Pillow's decoders raise almost anything on broken files
        kind = type(error).__name__
        raise BadPicture("unreadable image", f"{kind}: {error}"[:200]) from None
    if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
        layer = upright.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        upright = Image.alpha_composite(ground, layer)
    return upright.convert("RGB")
