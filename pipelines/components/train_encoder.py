"""Component `train_encoder`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def train_encoder(dataset: str, settings: str = "") -> str:
    """Dataset version to encoder bundle."""
    from tastemaker.jobs import steps

    return steps.train_encoder(dataset, settings)
