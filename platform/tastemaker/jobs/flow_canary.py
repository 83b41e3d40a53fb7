"""Every canary of an environment, judged; what a verdict changes is a commit of its own."""

from sqlalchemy import Engine

from tastemaker.core.config import load_preset
from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.jobs import judge_canary
from tastemaker.jobs.flow_config import FlowConfig
from tastemaker.jobs.judge_canary import Judgement
from tastemaker.promotion.environment import MODELS, get_pins
from tastemaker.promotion.judge_config import JudgeConfig


def judge_all(home: Home, engine: Engine, config: FlowConfig) -> list[Judgement]:
    """Judge each canary; none is no error. What is decided twice is the same twice.

    Args:
        home: Whose repository.
        engine: The operational database.
        config: Of the loop: which environment, which thresholds.

    Raises:
        PromotionError: Somebody changed a canary meanwhile.
        GitError: The repository refused or did not answer.
    """
    rules = load_preset(JudgeConfig, "judge", config.judge)
    environment = config.environment
    return [
        judge_canary.run(home, environment, model, engine, rules)
        for model in MODELS
        if _has_canary(home, environment, model)
    ]


def _has_canary(home: Home, environment: str, model: str) -> bool:
    try:
        return get_pins(home, environment, model).canary is not None
    except NotFound:
        return False
