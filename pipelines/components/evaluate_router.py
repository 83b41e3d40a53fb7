"""Component `evaluate_router`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def evaluate_router(dialogues: str, router: str) -> str:
    """Returns the evaluated bundle."""
    from tastemaker.jobs import steps

    return steps.evaluate_router(dialogues, router)
