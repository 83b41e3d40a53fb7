"""Gates of bundles that are to become live together: evidence of each, signed."""

from kfp import dsl

from pipelines.components.gate_set import gate_set


@dsl.pipeline(name="gate")
def gate(
    key: str,
    dataset: str,
    evaluated_on: str,
    environment: str,
    gates: str = "default",
    encoder: str = "",
    index: str = "",
    sequence: str = "",
    router: str = "",
) -> None:
    """From bundles to evidence.

    Args:
        key: Of the flow that runs it; names its result.
        dataset: Version that they are to serve over.
        evaluated_on: Version that they are compared on with what is live.
        environment: Where they are to become live.
        gates: Preset of the thresholds.
        encoder: Encoder bundle; empty: stays as it is, like the others.
        index: Index bundle.
        sequence: Sequence bundle.
        router: Router bundle.
    """
    judged = gate_set(
        key=key,
        dataset=dataset,
        evaluated_on=evaluated_on,
        environment=environment,
        gates=gates,
        encoder=encoder,
        index=index,
        sequence=sequence,
        router=router,
    )
    judged.set_caching_options(False)  # what is live is no parameter
