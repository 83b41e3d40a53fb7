"""Component `gate`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def gate(
    model: str,
    bundle: str,
    dataset: str,
    environment: str,
    preset: str,
    encoder: str,
    index: str,
    sequence: str,
    router: str,
    run_name: str,
    run_id: str,
) -> str:
    """Judges a bundle; returns the digest of its signed evidence."""
    from tastemaker.jobs import steps

    return steps.gate(
        model,
        bundle,
        dataset,
        environment,
        preset,
        encoder,
        index,
        sequence,
        router,
        f"{run_name}/{run_id}",
    )
