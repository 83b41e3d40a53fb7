"""The drift check as a flow: once for a live model, a state of the log and a day."""

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine

from tastemaker.core.config import load_preset, to_settings
from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.jobs import flow_records, pipeline_run
from tastemaker.jobs.drift_config import DriftConfig
from tastemaker.jobs.flow_config import FlowConfig
from tastemaker.jobs.flow_records import Outcome
from tastemaker.promotion.environment import get_live

FLOW = "check_drift"
_DAY_S = 86_400


def check(home: Home, engine: Engine, config: FlowConfig, *, again: bool = False) -> Outcome:
    """Run the pipeline `drift`.

    Returns:
        The outcome; its result says `drifted`, `names` of what did, and `report`.

    Raises:
        NotFound: Nothing is live.
        TastemakerError: The pipeline failed, or it was given up.
    """
    settings = to_settings(load_preset(DriftConfig, "drift", config.drift))
    live = get_live(home, config.environment, "recommender")
    day = int(time.time()) // _DAY_S
    key = flow_records.key_of(live.bundle, live.space, event_log.next_id(engine), day, settings)

    def work() -> Mapping[str, Any]:
        given = {"environment": config.environment, "settings": settings}
        found = pipeline_run.run(home, "drift", key, given, config.pipelines)
        return {**found, "drifted": bool(found.get("names"))}

    return pipeline_run.once(home, FLOW, key, work, config, again=again)
