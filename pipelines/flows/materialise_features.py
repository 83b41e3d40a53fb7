"""Flow `materialise_features`: the online store follows the live user model, and is refreshed."""

from prefect import flow

from pipelines.flows.loop import PRESET, open_loop
from tastemaker.jobs.flow_records import Outcome


@flow(name="materialise_features", timeout_seconds=4 * 3600)
def materialise_features(preset: str = PRESET, again: bool = False) -> Outcome | None:
    """Run the pipeline `materialise` where features are of another model, or old."""
    from tastemaker.jobs import refresh_features

    with open_loop(preset) as loop:
        found = refresh_features.refresh(loop.home, loop.engine, loop.config, again=again)
        loop.say(found.text if found else "features are those of the live models; nothing to do")
    return found
