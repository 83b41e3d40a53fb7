"""Flow `check_drift`: is what happens now still what the live models were trained on?"""

from prefect import flow

from pipelines.flows.loop import PRESET, open_loop
from tastemaker.jobs.flow_records import Outcome


@flow(name="check_drift", timeout_seconds=3600)
def check_drift(preset: str = PRESET, again: bool = False) -> Outcome:
    """Compare recent data with the training data, once a day and state of the log."""
    from tastemaker.jobs import flow_drift

    with open_loop(preset) as loop:
        found = flow_drift.check(loop.home, loop.engine, loop.config, again=again)
        loop.say(f"{found.text}: {dict(found.record.result)}")
        if found.fresh and found.record.result["drifted"]:
            loop.tell("drift-found", found.record.result)
    return found
