"""Component `train_sequence`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def train_sequence(dataset: str, encoder: str, settings: str = "") -> str:
    """Events to sequence bundle."""
    from tastemaker.jobs import steps

    return steps.train_sequence(dataset, encoder, settings)
