"""Thresholds of the drift check."""

from pydantic import Field

from tastemaker.core.config import Config


class DriftConfig(Config):
    """What counts as drift: an interval that lies above the threshold whole."""

    recent_days: float = Field(default=7.0, gt=0)  # the recent window, back from now
    min_rows: int = Field(default=200, ge=20)  # events a side, for a verdict
    min_turns: int = Field(default=100, ge=1)  # turns a side, for a verdict
    max_rows: int = Field(default=4000, ge=100)  # events a side that are compared; drawn at random
    max_rows_a_user: int = Field(default=20, ge=1)  # one busy user is no trend
    bins: int = Field(default=10, ge=2)  # of a number's histogram
    seed: int = 0
    max_mmd2: float = Field(default=0.02, gt=0)  # of item vectors, at most 2
    max_psi: float = Field(default=0.2, gt=0)  # nats, of each feature
    max_rise_frac: float = Field(default=0.02, gt=0)  # errors, empty or degraded answers
    max_fall_frac: float = Field(default=0.02, gt=0)  # answers with a save; saves an item shown
    max_error_frac: float = Field(default=0.05, gt=0)  # of turns, whatever it was before
    max_empty_frac: float = Field(default=0.25, gt=0)  # of turns that searched
