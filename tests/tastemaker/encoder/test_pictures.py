import io

import numpy as np
import pytest
import torch
from PIL import Image

from tastemaker.core.errors import DataError
from tastemaker.encoder import pictures
from tastemaker.encoder.config import AugmentConfig
from tastemaker.encoder.statistics import WIDTH, color_histogram, describe, edge_histogram


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def test_a_wide_picture_is_padded_with_white() -> None:
    square = pictures.decode(encoded(Image.new("RGB", (40, 20), (255, 0, 0))), 32)
    assert square.shape == (32, 32, 3)
    assert square[0, 0].tolist() == [255, 255, 255]
    assert square[16, 16].tolist() == [255, 0, 0]


def test_what_is_transparent_is_white() -> None:
    square = pictures.decode(encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0))), 32)
    assert (square == 255).all()


def test_what_is_no_picture_is_refused() -> None:
    with pytest.raises(DataError, match="11 bytes cannot be decoded"):
        pictures.decode(b"not an imag", 32)
    whole = encoded(Image.effect_noise((64, 64), 50), "JPEG")
    with pytest.raises(DataError, match="cannot be decoded"):
        pictures.decode(whole[: len(whole) // 3], 32)


def test_no_variation_leaves_a_picture_as_it_is() -> None:
    still = AugmentConfig(zoom_frac=0, shift_frac=0, flip=False, color=0, gray_frac=0)
    pixels = torch.rand(2, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(pictures.vary(pixels, still), pixels, atol=1e-4, rtol=0)


def test_variation_is_a_function_of_the_random_state() -> None:
    pixels = torch.rand(2, 3, 32, 32) * 2 - 1
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(pictures.vary(pixels, AugmentConfig()))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_a_histogram_counts_colours_wherever_they_are() -> None:
    red, blue = torch.tensor([1.0, -1, -1]), torch.tensor([-1.0, -1, 1])
    pixels = torch.stack([red, blue])[torch.arange(64) % 2].T.reshape(1, 3, 8, 8)
    histogram = color_histogram(pixels)
    assert sorted(histogram[histogram > 0].tolist()) == [0.5, 0.5]
    torch.testing.assert_close(histogram, color_histogram(pixels.flip(3)))


def test_edges_turn_with_the_picture() -> None:
    stripes = (torch.arange(64) // 4 % 2 * 2.0 - 1).expand(1, 3, 64, 64)
    upright = edge_histogram(stripes).view(8, -1).sum(1)
    lying = edge_histogram(stripes.transpose(2, 3)).view(8, -1).sum(1)
    assert upright.argmax() == 0
    assert lying.argmax() == 4


def test_descriptions_do_not_depend_on_the_batch() -> None:
    pixels = torch.rand(3, 3, 32, 32) * 2 - 1
    together = describe(pixels)
    assert together.shape == (3, WIDTH)
    torch.testing.assert_close(together[1:2], describe(pixels[1:2]))
    assert np.isfinite(describe(torch.ones(1, 3, 32, 32)).numpy()).all()
