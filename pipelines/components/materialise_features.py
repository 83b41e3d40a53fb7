"""Component `materialise_features`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def materialise_features(dataset: str, sequence: str, settings: str = "") -> str:
    """Events and user model to live features."""
    from tastemaker.jobs import steps

    return steps.materialise_features(dataset, sequence, settings)
