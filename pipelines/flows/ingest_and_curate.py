"""Flow `ingest_and_curate`: new items and new events become a dataset version."""

from prefect import flow

from pipelines.flows.loop import PRESET, open_loop
from tastemaker.jobs.flow_records import Outcome


@flow(name="ingest_and_curate", timeout_seconds=4 * 3600)
def ingest_and_curate(preset: str = PRESET, again: bool = False) -> Outcome:
    """Take new data in, once for each state of source and log; KFP retries its steps."""
    from tastemaker.jobs import new_data

    with open_loop(preset) as loop:
        found = new_data.ingest(loop.home, loop.engine, loop.config, again=again)
        loop.say(found.text)
        made = found.record.result
        if found.fresh and made["dataset"] != made["events_of"]:
            loop.tell("ingested", {"dataset": made["dataset"]})
    return found
