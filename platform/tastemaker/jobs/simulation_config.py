"""Configuration of simulated conversations."""

from pydantic import Field

from tastemaker.core.config import Config
from tastemaker.evaluation.simulated_behaviour import BehaviourConfig
from tastemaker.evaluation.simulated_goals import GoalsConfig


class SimulationConfig(Config):
    """Who talks to the assistant, how often, in which words."""

    users: int = Field(default=200, ge=1)  # each holds one conversation
    at_once: int = Field(default=4, ge=1, le=256)  # conversations under way
    timeout_s: float = Field(default=60, gt=0)  # of a request
    simple: bool = False  # few wordings: for a router of the tiny preset
    unseen_frac: float = Field(default=0.5, ge=0, le=1)  # wordings that training never shows
    probe_frac: float = Field(default=0.05, ge=0, le=1)  # of users ask for somebody else's board
    goals: GoalsConfig = GoalsConfig()
    behaviour: BehaviourConfig = BehaviourConfig()
    seed: int = 23
