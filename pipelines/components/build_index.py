"""Component `build_index`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def build_index(dataset: str, encoder: str, settings: str = "") -> str:
    """Embedded dataset version to index bundle."""
    from tastemaker.jobs import steps

    return steps.build_index(dataset, encoder, settings)
