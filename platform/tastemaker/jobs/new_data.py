"""New data: what the live user model has not seen, and the flow that takes it in.

The live user model names a dataset version; the log and the source may have gone on since.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine

from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.data.all_events import all_events
from tastemaker.data.dataset import load_dataset
from tastemaker.jobs import flow_records, full_stack, pipeline_run
from tastemaker.jobs.flow_config import FlowConfig
from tastemaker.jobs.flow_records import Outcome
from tastemaker.promotion.bundle import load_bundle
from tastemaker.promotion.environment import get_live

FLOW = "ingest_and_curate"


@dataclass(frozen=True)
class NewData:
    """What has happened since the live user model was trained.

    Attributes:
        dataset: The version that the live user model was trained on (what is served may be an
            older one: new events do not change the items).
        encoder: The live encoder: new vectors are of its space.
        known_events: Events that it holds.
        new_events: Events of its items in the log that it lacks; forgotten users' count against.
        source: Digest of the source now; "" where this machine cannot read it.
        log: Latest event's id in the log, 0 for none.
    """

    dataset: str
    encoder: str
    known_events: int
    new_events: int
    source: str
    log: int

    @property
    def key(self) -> str:
        """Of a run that takes it in."""
        return flow_records.key_of(self.dataset, self.encoder, self.source, self.log)


def look(home: Home, engine: Engine, config: FlowConfig) -> NewData:
    """See what is new.

    Raises:
        NotFound: Nothing is live in the environment.
    """
    encoder = get_live(home, config.environment, "encoder").bundle
    data = load_dataset(home, trained_on(home, config.environment))
    known = data.tables["events"].rows if "events" in data.tables else 0
    return NewData(
        dataset=data.digest,
        encoder=encoder,
        known_events=known,
        new_events=len(all_events(data, engine)) - known,
        source=arguments(config)["source_digest"],
        log=event_log.next_id(engine) - 1,
    )


def trained_on(home: Home, environment: str) -> str:
    """The dataset version that the live user model was trained on.

    Raises:
        NotFound: No user model is live.
    """
    live = get_live(home, environment, "recommender")
    return str(load_bundle(home, live.bundle, family="sequence").card.parents["dataset"])


def arguments(config: FlowConfig) -> dict[str, str]:
    """Settings of every step, as a pipeline takes them."""
    preset = config.steps or full_stack.default_preset(config.catalog)
    here = not config.pipelines.host
    return full_stack.resolve(preset, config.catalog, [], here=here)


def ingest(home: Home, engine: Engine, config: FlowConfig, *, again: bool = False) -> Outcome:
    """Take new data in: source curated, events collected, vectors added.

    Without a source that this machine can read, the day is part of the key: the pipeline then
    looks once a day, and finds its steps cached where nothing changed.

    Returns:
        The outcome; `dataset` in its result is the version to train on, the live one where
        nothing is new.

    Raises:
        TastemakerError: The pipeline failed, or it was given up.
    """
    found = look(home, engine, config)
    day = "" if found.source else time.strftime("%Y-%m-%d", time.gmtime())

    def work() -> Mapping[str, Any]:
        settings = arguments(config)
        names = ("catalog", "source_digest", "curate_settings", "precompute_embeddings_settings")
        given = {name: settings[name] for name in names}
        given |= {"events_of": found.dataset, "encoder": found.encoder}
        made = pipeline_run.run(home, "ingest", key, given, config.pipelines)
        return {**made, "events_of": found.dataset, "new_events": found.new_events}

    key = flow_records.key_of(found.key, day, config.model_dump(mode="json")["steps"])
    return pipeline_run.once(home, FLOW, key, work, config, again=again)
