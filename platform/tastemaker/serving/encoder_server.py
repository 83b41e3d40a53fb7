"""KServe server of the encoder: texts and images to vectors of its space.

POST /v1/models/encoder:predict {"instances": [{"text": "blue lamp"}, {"image": "<base64>"}]}
-> {"predictions": [[...], [...]], "space": "<digest>"}
"""

import argparse
import base64
import binascii
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from tastemaker.core.errors import DataError
from tastemaker.encoder.model import Encoder
from tastemaker.encoder.storage import load_encoder
from tastemaker.promotion.bundle import read_bundle
from tastemaker.serving.kserve_app import Instance, TypedModel, arguments, serve

MAX_TEXT = 2000  # characters


class EncoderInstance(Instance):
    """A text or an image."""

    text: str | None = Field(default=None, max_length=MAX_TEXT)
    image: str | None = None  # base64 of an image file

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.text is None) == (self.image is None):
            raise ValueError('give either "text" or "image"')
        return self


def predict(encoder: Encoder, space: str, instances: list[EncoderInstance]) -> dict[str, Any]:
    """Embed each instance.

    Raises:
        DataError: An image that is not base64 or cannot be decoded.
    """
    vectors = np.zeros((len(instances), encoder.config.dim), np.float32)
    texts = [(i, one.text) for i, one in enumerate(instances) if one.text is not None]
    images = [(i, _decoded(one.image)) for i, one in enumerate(instances) if one.image is not None]
    if texts:
        vectors[[i for i, _ in texts]] = encoder.embed_text([text for _, text in texts])
    if images:
        vectors[[i for i, _ in images]] = encoder.embed_image([image for _, image in images])
    return {"predictions": vectors.tolist(), "space": space}


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"an image must be base64 text, got {text[:40]!r}: {error}") from None


def load(given: argparse.Namespace) -> TypedModel:
    """Open the bundle."""
    bundle = read_bundle(given.model_dir, family="encoder")
    encoder = load_encoder(bundle.path)
    return TypedModel(
        "encoder",
        EncoderInstance,
        lambda instances: predict(encoder, bundle.digest, instances),
        bundle=bundle.digest,
    )


if __name__ == "__main__":
    serve(load, arguments(__doc__))
