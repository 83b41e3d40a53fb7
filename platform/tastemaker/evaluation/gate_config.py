"""Thresholds of the gates: one preset a family, `presets/gates/<family>/<name>.yaml`."""

from typing import Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from tastemaker.core import digests
from tastemaker.core.config import Config, load_preset, presets
from tastemaker.core.errors import ConfigError

MODEL_OF = {
    "encoder": "encoder",
    "index": "retrieval",
    "sequence": "recommender",
    "router": "router",
}


class Margin(Config):
    """By how much a metric has to lead another on the same cases: a baseline that is no model."""

    metric: str
    over: str  # the baseline's metric
    by: float = 0.0  # refused where the interval of the lead lies wholly below this


class Regression(Config):
    """How much a metric may lose against the live bundle, and how well that must be known."""

    tolerance: NonNegativeFloat  # refused where the gain's interval lies wholly below -tolerance
    resolution: PositiveFloat  # half-width of the gain's interval from which on nothing is known


class GatesConfig(Config):
    """What a bundle has to reach before it may be promoted."""

    min_cases: PositiveInt  # of every metric that a rule names; fewer say nothing
    floors: dict[str, float]  # metric: least value
    beats: tuple[Margin, ...] = ()
    safety: dict[str, float] = Field(default_factory=dict)  # metric: least value
    no_regression: dict[str, Regression] = Field(default_factory=dict)
    may_lack: tuple[str, ...] = ()  # metrics that not every catalogue has cases for
    max_harm_rate: float = Field(default=0.01, ge=0, le=1)  # of simulated conversations, if given
    simulated_success: Regression = Regression(tolerance=0.02, resolution=0.08)  # of them, if given
    max_latency_ratio: float = Field(gt=1)  # of a request, against the live bundle side by side
    max_cost_ratio: float = Field(gt=1)  # CPU seconds of a request, likewise
    max_request_ms: PositiveFloat  # of a request on an idle core: a backstop, with or without live
    max_mib: PositiveFloat  # of the bundle's files
    max_size_ratio: float = Field(gt=1)  # of the bundle's files, against the live bundle's
    fresh_days: PositiveFloat = 7.0  # how long evidence of the same inputs is found again

    @model_validator(mode="after")
    def _may_lack_what_a_rule_names(self) -> Self:
        unknown = sorted(set(self.may_lack) - self.metrics())
        if unknown:
            raise ValueError(f"may_lack names {unknown}, which no rule reads")
        return self

    def metrics(self) -> set[str]:
        """Every metric that a rule reads."""
        compared = {name for margin in self.beats for name in (margin.metric, margin.over)}
        return {*self.floors, *compared, *self.safety, *self.no_regression}


def preset_family(family: str) -> str:
    """Where a family's gates lie below the presets."""
    return f"gates/{family}"


def load_gates(family: str, name: str = "default") -> GatesConfig:
    """A family's gates.

    Raises:
        ConfigError: No such preset.
    """
    if not presets(preset_family(family)):
        raise ConfigError(f"no gates for family {family!r}: the families are {', '.join(MODEL_OF)}")
    return load_preset(GatesConfig, preset_family(family), name)


def named(family: str, config: GatesConfig) -> str:
    """Thresholds as evidence names them: a shipped preset or `changed`, and their digest."""
    names = presets(preset_family(family))
    same = [name for name in names if load_gates(family, name) == config]
    return f"{same[0] if same else 'changed'} {digests.of_json(config.model_dump(mode='json'))}"
