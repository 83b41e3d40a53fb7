"""Features follow what is live: filled anew after a promotion, and when they are old."""

import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Engine

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.features.config import Generation, current
from tastemaker.jobs import flow_records, new_data, pipeline_run
from tastemaker.jobs.flow_config import FlowConfig
from tastemaker.jobs.flow_records import Outcome
from tastemaker.promotion.environment import get_live

FLOW = "materialise_features"
_HOUR_MS = 3_600_000


def refresh(
    home: Home,
    engine: Engine,
    config: FlowConfig,
    *,
    now_ms: int | None = None,
    again: bool = False,
) -> Outcome | None:
    """Materialise where features are of another model or data, or older than they may be.

    Args:
        home: Where everything lives.
        engine: Database with the log of live events.
        config: Of the loop.
        now_ms: The present; default: now.
        again: Also where it was given up.

    Returns:
        The outcome; None where features are what they should be.

    Raises:
        NotFound: Nothing is live.
        TastemakerError: The pipeline failed, or it was given up.
    """
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    live, before = get_live(home, config.environment, "recommender"), _current(home)
    alike = before and (before.sequence, before.dataset) == (live.bundle, live.dataset)
    if alike and before and now_ms - before.written_ms < config.features_hours * _HOUR_MS:
        return None
    stands_on = [before.tables, before.written_ms] if before else []
    log = event_log.next_id(engine)
    key = flow_records.key_of(live.bundle, live.dataset, stands_on, log)

    def work() -> Mapping[str, Any]:
        name = "materialise_features_settings"
        given = {"dataset": live.dataset, "sequence": live.bundle}
        given[name] = new_data.arguments(config)[name]
        return pipeline_run.run(home, "materialise", key, given, config.pipelines)

    return pipeline_run.once(home, FLOW, key, work, config, again=again)


def _current(home: Home) -> Generation | None:
    try:
        return current(home)
    except NotFound:
        return None
