"""Component `simulate_users`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def simulate_users(dataset: str, settings: str = "") -> str:
    """Dataset version to one with events."""
    from tastemaker.jobs import steps

    return steps.simulate_users(dataset, settings)
