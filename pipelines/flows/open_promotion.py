"""Flow `open_promotion`: evidence and bundles become one commit, a canary where one changes."""

from prefect import flow

from pipelines.flows.loop import PRESET, open_loop
from tastemaker.jobs.flow_records import Outcome


@flow(name="open_promotion", timeout_seconds=1800)
def open_promotion(
    made: dict[str, str], evidence: dict[str, str], preset: str = PRESET, again: bool = False
) -> Outcome:
    """Promote once; a push that lost a race is made again by the promotion itself."""
    from tastemaker.jobs import flow_promotion

    with open_loop(preset) as loop:
        found = flow_promotion.candidates(loop.home, made, loop.config.environment)
        opened = flow_promotion.open_promotion(loop.home, found, evidence, loop.config, again=again)
        loop.say(f"{opened.text}: {dict(opened.record.result)}")
        if opened.fresh:
            loop.tell("promoted", opened.record.result)
    return opened
