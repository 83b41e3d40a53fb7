"""Settings of the encoder: two towers, one space, and how it is trained."""

from typing import Literal, Self

from pydantic import Field, PositiveInt, model_validator

from tastemaker.core.config import Config


class ImageConfig(Config):
    """The image tower: a residual network over square pictures, with colour and edge statistics."""

    px: int = Field(default=64, ge=32, le=256)  # side of the square that the tower sees
    widths: tuple[PositiveInt, ...] = (32, 64, 128, 256)  # channels of each stage; each halves
    depths: tuple[PositiveInt, ...] = (1, 1, 1, 1)  # residual blocks of each stage
    statistics: bool = True  # also read the colour histogram, edge histogram and thumbnail
    statistics_dropout_frac: float = Field(default=0.5, ge=0, lt=1)  # of those numbers

    @model_validator(mode="after")
    def _one_depth_a_width(self) -> Self:
        if len(self.widths) != len(self.depths):
            raise ValueError(f"widths {self.widths} and depths {self.depths} differ in length")
        return self


class TextConfig(Config):
    """The text tower: words and their letter n-grams, pooled by attention."""

    width: PositiveInt = 192  # features of a word
    buckets: int = Field(default=8192, ge=256)  # hashed letter n-grams
    min_count: PositiveInt = 2  # a word seen less often has its n-grams alone
    max_words: PositiveInt = 64  # words read of a text


class AugmentConfig(Config):
    """How a training picture and a training text are varied."""

    zoom_frac: float = Field(default=0.2, ge=0, le=0.6)  # side cut off at most
    shift_frac: float = Field(default=0.05, ge=0, le=0.5)  # of the side, each way
    flip: bool = True
    color: float = Field(default=0.08, ge=0, le=0.5)  # brightness, contrast: 1 +- this
    gray_frac: float = Field(default=0.1, ge=0, lt=1)  # pictures without colour
    word_dropout_frac: float = Field(default=0.2, ge=0, lt=1)  # of a query's words
    attribute_query_frac: float = Field(default=0.3, ge=0, le=1)  # queries made of attributes
    blind_item_frac: float = Field(default=0.3, ge=0, le=1)  # items whose text is withheld


class EncoderConfig(Config):
    """An encoder; every field has a working default."""

    dim: int = Field(default=128, ge=8)  # D of the space
    image: ImageConfig = ImageConfig()
    text: TextConfig = TextConfig()
    augment: AugmentConfig = AugmentConfig()
    epochs: PositiveInt = 40
    batch_size: int = Field(default=192, ge=2)  # items; one's others are its negatives
    learning_rate: float = Field(default=2e-3, gt=0)  # AdamW, peak of a one-cycle schedule
    weight_decay: float = Field(default=0.5, ge=0)
    dropout_frac: float = Field(default=0.1, ge=0, lt=1)  # before the projections
    temperature: float = Field(default=0.07, gt=0)  # at the start; learned
    image_weight: float = Field(default=1.0, ge=0)  # of the text <-> image loss
    item_weight: float = Field(default=1.0, ge=0)  # of the text <-> item loss
    board_weight: float = Field(default=0.2, ge=0)  # of the item <-> board neighbour loss
    attribute_weight: float = Field(default=1.0, ge=0)  # of naming attributes from the image
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where it is native
    checkpoint_every: PositiveInt = 100  # steps
    seed: int = 0
