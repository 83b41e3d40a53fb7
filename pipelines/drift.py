"""Drift: recent events and answers against what the live models were trained on."""

from kfp import dsl

from pipelines.components.check_drift import check_drift


@dsl.pipeline(name="drift")
def drift(key: str, environment: str, settings: str = "") -> None:
    """From what is live and what happened to a report.

    Args:
        key: Of the flow that runs it; names its result.
        environment: Whose models.
        settings: DriftConfig.
    """
    found = check_drift(key=key, environment=environment, settings=settings)
    found.set_caching_options(False)  # what happened is no parameter
