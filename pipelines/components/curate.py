"""Component `curate`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def curate(catalog: str, source_digest: str, settings: str = "") -> str:
    """Source to dataset version."""
    from tastemaker.jobs import steps

    return steps.curate(catalog, source_digest, settings)
