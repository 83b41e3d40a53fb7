"""New data: the source curated anew, live events taken in, vectors of the live space added."""

from kfp import dsl

from pipelines.components.curate import curate
from pipelines.components.keep_result import keep_result
from pipelines.components.precompute_embeddings import precompute_embeddings
from pipelines.components.refresh_events import refresh_events


@dsl.pipeline(name="ingest")
def ingest(
    key: str,
    events_of: str,
    encoder: str,
    catalog: str = "demo",
    source_digest: str = "",
    curate_settings: str = "",
    precompute_embeddings_settings: str = "",
) -> None:
    """From a source and the log of events to a dataset version in the live space.

    Args:
        key: Of the flow that runs it; names its result.
        events_of: Dataset version that is live: its events go on.
        encoder: Encoder bundle that is live.
        catalog: demo, fashion, ikea-home or folder:/path.
        source_digest: Digest of what the source holds; empty: not checked.
        curate_settings: CurateConfig.
        precompute_embeddings_settings: EmbeddingsConfig.
    """
    items = curate(catalog=catalog, source_digest=source_digest, settings=curate_settings)
    data = refresh_events(dataset=items.output, events_of=events_of)
    data.set_caching_options(False)  # the log of events is no parameter
    embedded = precompute_embeddings(
        dataset=data.output, encoder=encoder, settings=precompute_embeddings_settings
    )
    kept = keep_result(key=key, dataset=embedded.output)
    kept.set_caching_options(False)  # its result is a file, not what it returns
