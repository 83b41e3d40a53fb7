"""Component `check_drift`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def check_drift(key: str, environment: str, settings: str = "") -> str:
    """Live events and turns to findings and a report."""
    from tastemaker.jobs import loop_steps

    return loop_steps.check_drift(key, environment, settings)
