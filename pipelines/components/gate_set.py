"""Component `gate_set`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def gate_set(
    key: str,
    dataset: str,
    evaluated_on: str,
    environment: str,
    gates: str = "default",
    encoder: str = "",
    index: str = "",
    sequence: str = "",
    router: str = "",
) -> str:
    """Bundles that are to become live together to signed evidence of each."""
    from tastemaker.jobs import loop_steps

    return loop_steps.gate_set(
        key, dataset, evaluated_on, environment, gates, encoder, index, sequence, router
    )
