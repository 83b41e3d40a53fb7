"""Size and training of the user-sequence model."""

from typing import Self

from pydantic import Field, PositiveInt, model_validator

from tastemaker.core.config import Config


class SequenceConfig(Config):
    """A causal transformer over (item embedding, action); every field has a working default."""

    width: PositiveInt = 128  # D, features per event
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    max_events: PositiveInt = 64  # history kept per user, newest last
    user_dim: PositiveInt = 128  # width of the user embedding
    dropout_frac: float = Field(default=0.2, ge=0, lt=1)
    max_candidates: PositiveInt = 16_384  # items scored in training; more are sampled
    steps: PositiveInt = 1200
    batch_users: PositiveInt = 48
    learning_rate: float = Field(default=2e-3, gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    checkpoint_every: PositiveInt = 200  # steps
    threads: PositiveInt = 2  # of torch; results are equal for equal numbers
    seed: int = 0

    @model_validator(mode="after")
    def _heads_divide_width(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        return self
