from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from tastemaker.core.errors import DataError, NotFound
from tastemaker.encoder.config import EncoderConfig, ImageConfig, TextConfig
from tastemaker.encoder.model import Encoder, item_text
from tastemaker.encoder.storage import load_encoder, save_encoder
from tastemaker.encoder.words import Vocabulary

CONFIG = EncoderConfig(
    dim=16,
    image=ImageConfig(px=32, widths=(8, 16), depths=(1, 1)),
    text=TextConfig(width=16, buckets=256),
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    torch.manual_seed(0)
    vocabulary = Vocabulary(("blue", "red"), CONFIG.text.buckets, CONFIG.text.max_words)
    return Encoder(CONFIG, vocabulary).eval()


def test_vectors_are_unit_and_do_not_depend_on_the_batch(
    encoder: Encoder, catalogue: tuple[pa.Table, pa.Table]
) -> None:
    images = catalogue[0]["image"].to_pylist()[:6]
    texts = ["red lamp", "", "blue", "?!", "unbekanntes Wort", "x " * 500]
    for embed, values in ((encoder.embed_text, texts), (encoder.embed_image, images)):
        together = embed(values)
        assert together.shape == (6, 16)
        assert together.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
        apart = np.concatenate([embed([value]) for value in values])
        np.testing.assert_allclose(together, apart, atol=1e-5)


def test_an_item_lies_between_its_image_and_its_text(
    encoder: Encoder, catalogue: tuple[pa.Table, pa.Table]
) -> None:
    images = catalogue[0]["image"].to_pylist()[:2]
    image, text = encoder.embed_image(images), encoder.embed_text(["red", "blue"])
    by_hand = image + encoder.text_share.item() * text
    by_hand /= np.linalg.norm(by_hand, axis=1, keepdims=True)
    np.testing.assert_allclose(encoder.embed_items(images, ["red", "blue"]), by_hand, atol=1e-5)
    np.testing.assert_allclose(encoder.embed_items(images, ["", " . "]), image, atol=1e-5)


def test_nothing_gives_no_vectors_and_lengths_must_agree(encoder: Encoder) -> None:
    assert encoder.embed_text([]).shape == (0, 16)
    assert encoder.embed_items([], []).shape == (0, 16)
    with pytest.raises(DataError, match="0 images and 1 texts"):
        encoder.embed_items([], ["lamp"])


def test_order_of_words_does_not_matter_but_words_do(encoder: Encoder) -> None:
    one, other, third = encoder.embed_text(["red blue", "blue red", "red red"])
    np.testing.assert_allclose(one, other, atol=1e-6)
    assert abs(one - third).max() > 1e-3


def test_saved_and_loaded_it_embeds_the_same(encoder: Encoder, tmp_path: Path) -> None:
    save_encoder(encoder, tmp_path)
    again = load_encoder(tmp_path)
    assert np.array_equal(again.embed_text(["red lamp"]), encoder.embed_text(["red lamp"]))
    with pytest.raises(NotFound, match="holds no encoder"):
        load_encoder(tmp_path / "elsewhere")


def test_the_text_of_an_item() -> None:
    assert item_text("Lamp", "") == "Lamp"
    assert item_text("Lamp", "For reading.") == "Lamp For reading."
