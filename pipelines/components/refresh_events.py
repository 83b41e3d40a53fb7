"""Component `refresh_events`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def refresh_events(dataset: str, events_of: str) -> str:
    """Curated dataset version to one with the live events."""
    from tastemaker.jobs import loop_steps

    return loop_steps.refresh_events(dataset, events_of)
