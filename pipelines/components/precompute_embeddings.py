"""Component `precompute_embeddings`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def precompute_embeddings(dataset: str, encoder: str, settings: str = "") -> str:
    """Adds the vector column of an encoder's space."""
    from tastemaker.jobs import steps

    return steps.precompute_embeddings(dataset, encoder, settings)
