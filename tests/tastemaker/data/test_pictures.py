import io

import numpy as np
import pytest
from PIL import Image

from tastemaker.data.pictures import BadPicture, perceptual_hash, verify


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def scene(side: int = 96) -> Image.Image:
    image = Image.new("RGB", (side, side), (230, 220, 200))
    image.paste((40, 60, 150), (side // 8, side // 2, side // 2, side))
    image.paste((150, 40, 30), (side // 2, side // 8, 7 * side // 8, side // 3))
    return image


def test_a_large_picture_is_scaled_down_and_stored_as_rgb_jpeg() -> None:
    picture = verify(encoded(Image.new("L", (400, 200), 90)), max_side_px=128, min_side_px=16)
    stored = Image.open(io.BytesIO(picture.jpeg))
    assert (stored.format, stored.mode, stored.size) == ("JPEG", "RGB", (128, 64))


def test_transparent_pixels_become_white() -> None:
    clear = encoded(Image.new("RGBA", (32, 32), (255, 0, 0, 0)))
    stored = Image.open(io.BytesIO(verify(clear, max_side_px=64, min_side_px=16).jpeg))
    assert np.asarray(stored).min() >= 254


def test_a_rotated_photo_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees to show
    photo = encoded(scene().crop((0, 0, 96, 48)), "JPEG", exif=exif)
    stored = Image.open(io.BytesIO(verify(photo, max_side_px=96, min_side_px=16).jpeg))
    assert stored.size == (48, 96)
    assert not stored.getexif()


@pytest.mark.parametrize("kept_frac", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(kept_frac: float) -> None:
    whole = encoded(scene(), "JPEG")
    with pytest.raises(BadPicture) as caught:
        verify(whole[: int(len(whole) * kept_frac)], max_side_px=96, min_side_px=16)
    assert caught.value.reason == "unreadable image"


def test_a_picture_below_the_least_side_is_refused_with_its_size() -> None:
    with pytest.raises(BadPicture, match="8x40, least side 16"):
        verify(encoded(Image.new("RGB", (8, 40))), max_side_px=96, min_side_px=16)


def test_the_same_pixels_in_two_formats_have_one_pixel_digest() -> None:
    png, bmp = (verify(encoded(scene(), k), max_side_px=96, min_side_px=16) for k in ("PNG", "BMP"))
    assert png.pixels == bmp.pixels


def test_hash_survives_scale_quality_and_light_but_not_another_picture() -> None:
    image = scene()
    small = Image.open(io.BytesIO(encoded(image.resize((70, 70)), "JPEG", quality=60)))
    dim = image.point(lambda value: int(value * 0.85))
    other = image.transpose(Image.Transpose.ROTATE_90)
    bits = [
        (perceptual_hash(image) ^ perceptual_hash(changed)).bit_count()
        for changed in (small, dim, other)
    ]
    assert bits[0] <= 4
    assert bits[1] <= 4
    assert bits[2] > 12
