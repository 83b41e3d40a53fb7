"""Flow `retrain`: models that read events, trained on a dataset version; nothing becomes live."""

from prefect import flow

from pipelines.flows.loop import PRESET, open_loop
from tastemaker.jobs.flow_records import Outcome


@flow(name="retrain", timeout_seconds=25 * 3600)
def retrain(dataset: str, preset: str = PRESET, again: bool = False) -> Outcome:
    """Run the pipeline `retrain`, once a dataset version and settings; KFP retries its steps."""
    from tastemaker.jobs import retrain as job

    with open_loop(preset) as loop:
        found = job.retrain(loop.home, dataset, loop.config, again=again)
        loop.say(f"{found.text}: {dict(found.record.result)}")
    return found
