"""Component `promote`: a signature and one call."""

from kfp import dsl

from pipelines.components.image import TRAIN


@dsl.component(base_image=TRAIN, install_kfp_package=False)
def promote(
    dataset: str,
    encoder: str,
    index: str,
    sequence: str,
    features: str,
    router: str,
    encoder_evidence: str,
    index_evidence: str,
    sequence_evidence: str,
    router_evidence: str,
    environment: str,
    run_name: str,
    run_id: str,
    features_settings: str = "",
) -> str:
    """Makes judged bundles live by one commit."""
    from tastemaker.jobs import steps

    return steps.promote(
        dataset,
        encoder,
        index,
        sequence,
        features,
        router,
        [encoder_evidence, index_evidence, sequence_evidence, router_evidence],
        environment,
        features_settings,
        f"{run_name}/{run_id}",
    )
