"""Settings of the operational loop: what is retrained when, and what is kept how long."""

import os
from typing import Literal

from pydantic import Field

from tastemaker.core.config import Config

ENVIRONMENT = "TASTEMAKER_ENVIRONMENT"  # set by the chart
HOST = "KFP_HOST"  # set by the chart; empty: pipelines run on this machine


class RetrainRule(Config):
    """When models are due; each reason is enough alone."""

    min_new_events: int = Field(default=500, ge=1)  # that the live dataset version lacks
    min_new_frac: float = Field(default=0.01, gt=0)  # of its events; both minima must be met
    max_age_days: float = Field(default=30.0, gt=0)  # of the live user model, with any new event
    on_drift: bool = True  # a drift check that found drift, with any new event


class RetentionRule(Config):
    """What is removed, and when."""

    grace_days: float = Field(default=14.0, ge=0)  # nothing younger is removed
    records_days: float = Field(default=90.0, ge=0)  # of flows that ended
    runs_days: float = Field(default=7.0, ge=0)  # scratch of pipeline runs
    rollback_commits: int = Field(default=20, ge=1)  # of a model file: what they name is kept


class PipelineRule(Config):
    """Where pipelines run, and how long they may."""

    cluster_preset: str = "default"
    namespace: str = ""  # of a KFP profile; empty: single-user mode
    service_account: str = ""  # of the steps' pods
    token_env: str = ""  # variable that holds a bearer token
    timeout_s: float = Field(default=24 * 3600, gt=0)  # of a run
    poll_s: float = Field(default=5.0, gt=0)

    @property
    def host(self) -> str:
        """Address of Kubeflow Pipelines, from `KFP_HOST`; empty: this machine."""
        return os.environ.get(HOST, "")


class FlowConfig(Config):
    """The loop of one environment."""

    environment_name: str = ""  # empty: TASTEMAKER_ENVIRONMENT, else local
    catalog: str = "demo"  # where items come from
    steps: str = ""  # full_stack preset of the steps' settings; empty: named like the catalogue
    models: tuple[Literal["recommender", "router"], ...] = ("recommender", "router")  # retrained
    canary_weight: int = Field(default=10, ge=0, le=50)  # percent; 0: live at once
    features_hours: float = Field(default=24.0, gt=0)  # then features are filled anew
    drift: str = "default"  # preset of the drift check
    gates: str = "default"  # preset of the thresholds
    judge: str = "default"  # preset of the canary's judge
    max_attempts: int = Field(default=3, ge=1)  # of one key
    retrain: RetrainRule = RetrainRule()
    retention: RetentionRule = RetentionRule()
    pipelines: PipelineRule = PipelineRule()

    @property
    def environment(self) -> str:
        """Whose models the loop looks after."""
        return self.environment_name or os.environ.get(ENVIRONMENT) or "local"
