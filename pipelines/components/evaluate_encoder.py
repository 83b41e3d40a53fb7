"""Component `evaluate_encoder`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def evaluate_encoder(dataset: str, encoder: str) -> str:
    """Returns the evaluated bundle."""
    from tastemaker.jobs import steps

    return steps.evaluate_encoder(dataset, encoder)
