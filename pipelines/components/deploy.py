"""Component `deploy`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def deploy(
    dataset: str,
    encoder: str,
    index: str,
    sequence: str,
    features: str,
    router: str,
    environment: str,
    features_settings: str = "",
) -> str:
    """Makes evaluated bundles live."""
    from tastemaker.jobs import steps

    return steps.deploy(
        dataset, encoder, index, sequence, features, router, environment, features_settings
    )
