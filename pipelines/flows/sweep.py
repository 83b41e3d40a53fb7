"""Flow `sweep`: what processes left behind that did not end by themselves is put right."""

from prefect import flow

from pipelines.flows.loop import PRESET, open_loop


@flow(name="sweep", timeout_seconds=600, retries=1, retry_delay_seconds=30)
def sweep(preset: str = PRESET) -> list[str]:
    """Sweep; the same is done whenever the flows are served anew."""
    from tastemaker.jobs import sweep as job

    with open_loop(preset) as loop:
        done = job.sweep(loop.home)
        for line in done or ["nothing to put right"]:
            loop.say(line)
    return done
