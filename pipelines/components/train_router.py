"""Component `train_router`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def train_router(dialogues: str, settings: str = "") -> str:
    """Dialogues to router bundle."""
    from tastemaker.jobs import steps

    return steps.train_router(dialogues, settings)
