"""Settings of the judge of canaries."""

from typing import Self

from pydantic import Field, model_validator

from tastemaker.core.config import Config


class Margins(Config):
    """How much worse than the stable bundle a canary may be in each figure and still go on."""

    errors: float = Field(default=0.02, gt=0, lt=1)  # of requests that failed, a difference
    no_answer: float = Field(default=0.02, gt=0, lt=1)  # of requests that nobody answered
    median_ms: float = Field(default=0.15, gt=0)  # of a request, a share of the stable one's
    p95_ms: float = Field(default=0.3, gt=0)  # likewise
    saves: float = Field(default=0.03, gt=0, lt=1)  # of the items shown, a difference
    cents: float = Field(default=0.15, gt=0)  # of a turn, a share of the stable one's


class JudgeConfig(Config):
    """When a canary gets a larger share, and when it is taken away."""

    weights: tuple[int, ...] = (10, 25, 50, 100)  # shares one after another, percent
    first_look: int = Field(default=40, ge=10)  # turns of the canary before the first look
    growth: float = Field(default=1.5, ge=1.1)  # of that number from one look to the next
    false_revert_frac: float = Field(default=0.05, gt=0, lt=0.5)  # of canaries that are no worse
    false_step_frac: float = Field(default=0.1, gt=0, lt=0.5)  # of steps of a canary that is
    margins: Margins = Margins()

    @model_validator(mode="after")
    def _weights_rise_to_all(self) -> Self:
        rising = all(a < b for a, b in zip(self.weights, self.weights[1:], strict=False))
        if not rising or not self.weights or self.weights[-1] != 100 or self.weights[0] < 1:
            raise ValueError(f"weights {self.weights}: must rise from 1 or more to 100")
        if any(50 < weight < 100 for weight in self.weights):
            raise ValueError(f"weights {self.weights}: a canary gets at most 50 before all")
        return self

    def next_weight(self, weight: int) -> int:
        """The share after this one, percent."""
        return next(one for one in self.weights if one > weight)
