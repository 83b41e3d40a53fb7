"""Flow `evaluate_and_gate`: what was trained is judged against what is live; signed evidence."""

from prefect import flow

from pipelines.flows.loop import PRESET, open_loop
from tastemaker.jobs.flow_records import Outcome


@flow(name="evaluate_and_gate", timeout_seconds=3600)
def evaluate_and_gate(made: dict[str, str], preset: str = PRESET, again: bool = False) -> Outcome:
    """Judge a retraining's bundles, once for these and what is live; `made` is its result."""
    from tastemaker.jobs import flow_promotion

    with open_loop(preset) as loop:
        found = flow_promotion.candidates(loop.home, made, loop.config.environment)
        judged = flow_promotion.evaluate_and_gate(loop.home, found, loop.config, again=again)
        loop.say(f"{judged.text}: {dict(judged.record.result)}")
        if judged.fresh and not judged.record.result["passed"]:
            loop.tell("refused", judged.record.result["failed"])
    return judged
