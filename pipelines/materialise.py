"""Features that are live, of the live user model: offline tables written, online store filled."""

from kfp import dsl

from pipelines.components.keep_result import keep_result
from pipelines.components.materialise_features import materialise_features


@dsl.pipeline(name="materialise")
def materialise(
    key: str, dataset: str, sequence: str, materialise_features_settings: str = ""
) -> None:
    """From events and a user model to live features.

    Args:
        key: Of the flow that runs it; names its result.
        dataset: With vectors of the space that the user model reads.
        sequence: Sequence bundle that is live.
        materialise_features_settings: FeatureConfig.
    """
    features = materialise_features(
        dataset=dataset, sequence=sequence, settings=materialise_features_settings
    )
    features.set_caching_options(False)  # it moves a pointer, and the log is no parameter
    kept = keep_result(key=key, features=features.output)
    kept.set_caching_options(False)  # its result is a file, not what it returns
