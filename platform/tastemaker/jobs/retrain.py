"""Retrain when due: the decision, and the flow that trains on a dataset version once."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.jobs import drift_record, flow_records, new_data, pipeline_run
from tastemaker.jobs.flow_config import FlowConfig, RetrainRule
from tastemaker.jobs.flow_records import Outcome
from tastemaker.promotion.environment import get_live, get_pins

FLOW = "retrain"
_STEPS = ("build_index", "train_sequence", "make_dialogues", "train_router")
_DAY_MS = 86_400_000


@dataclass(frozen=True)
class Due:
    """Whether models are due, and why.

    Attributes:
        due: The decision.
        reasons: Each that holds, as a sentence; where none does, what is missing.
    """

    due: bool
    reasons: tuple[str, ...]

    @property
    def text(self) -> str:
        """For a person."""
        return ("due: " if self.due else "not due: ") + "; ".join(self.reasons)


def decide(
    rule: RetrainRule,
    *,
    new_events: int,
    known_events: int,
    age_days: float,
    drifted: bool,
    new_items: bool,
) -> Due:
    """Decide from numbers alone.

    Args:
        rule: Of the environment.
        new_events: That the live model has not seen; below zero where users were forgotten.
        known_events: That it has seen.
        age_days: Since it was trained.
        drifted: What the last drift check said.
        new_items: Whether the catalogue changed.
    """
    reasons = []
    share = abs(new_events) / max(1, known_events)
    if abs(new_events) >= rule.min_new_events and share >= rule.min_new_frac:
        reasons.append(f"{new_events:+} events ({share:.1%})")
    if new_items:
        reasons.append("the catalogue changed")
    if new_events and age_days >= rule.max_age_days:
        reasons.append(f"the live model is {age_days:.0f} days old")
    if new_events and drifted and rule.on_drift:
        reasons.append("the last check found drift")
    if reasons:
        return Due(True, tuple(reasons))
    least = max(rule.min_new_events, rule.min_new_frac * known_events)
    return Due(False, (f"{new_events:+} events of {least:.0f}, age {age_days:.1f} days, no drift",))


def due(
    home: Home,
    dataset: str,
    config: FlowConfig,
    *,
    now_ms: int | None = None,
    force: bool = False,
) -> Due:
    """Whether the models of an environment are due on a dataset version.

    Not while a canary of one is judged: its verdict would be of no use any more.

    Args:
        home: Where everything lives.
        dataset: The version that they would be trained on.
        config: Of the loop.
        now_ms: The present; default: now.
        force: Due with any new data.

    Raises:
        NotFound: Nothing is live, or no such version.
    """
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    live = get_live(home, config.environment, "recommender")
    for model in config.models:
        if get_pins(home, config.environment, model).canary:
            return Due(False, (f"a canary of {model} is being judged",))
    known = new_data.trained_on(home, config.environment)
    if dataset == known:
        return Due(False, ("nothing is new",))
    if force:
        return Due(True, ("somebody asked for it",))
    before, after = load_dataset(home, known), load_dataset(home, dataset)
    return decide(
        config.retrain,
        new_events=_events(after) - _events(before),
        known_events=_events(before),
        age_days=(now_ms - trained_ms(home, live.bundle)) / _DAY_MS,
        drifted=drift_record.latest_drifted(home, config.environment),
        new_items=after.tables["items"].uri != before.tables["items"].uri,
    )


def retrain(home: Home, dataset: str, config: FlowConfig, *, again: bool = False) -> Outcome:
    """Train on a dataset version, in the live space; what comes out is evaluated, not live.

    Args:
        home: Where everything lives.
        dataset: With events and vectors of the live space.
        config: Of the loop.
        again: Also where it was given up.

    Returns:
        The outcome; its result names dataset, index, sequence, dialogues and router.

    Raises:
        TastemakerError: The pipeline failed, or it was given up.
    """
    encoder = get_live(home, config.environment, "encoder").bundle
    settings = new_data.arguments(config)
    given: dict[str, Any] = {f"{step}_settings": settings[f"{step}_settings"] for step in _STEPS}
    given |= {"dataset": dataset, "encoder": encoder, "with_router": "router" in config.models}
    key = flow_records.key_of(given)

    def work() -> Mapping[str, Any]:
        return pipeline_run.run(home, "retrain", key, given, config.pipelines)

    return pipeline_run.once(home, FLOW, key, work, config, again=again)


def trained_ms(home: Home, bundle: str) -> int:
    """When a bundle was made: by the flow that did, else by its card's time of change here.

    Raises:
        NotFound: The home has no such bundle.
    """
    made = [one for one in flow_records.records(home, FLOW) if bundle in one.result.values()]
    if made:
        return made[0].ended_ms
    path = home.fetch("bundles", bundle) / "bundle.yaml"
    if not path.is_file():
        raise NotFound(f"no bundle {bundle!r} in {home.location}")
    return int(path.stat().st_mtime * 1000)


def _events(data: Any) -> int:
    return data.tables["events"].rows if "events" in data.tables else 0
