"""Job: an embedded dataset version to an index bundle."""

from pathlib import Path

from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.jobs.precompute_embeddings import column_matrix
from tastemaker.promotion.bundle import Card, load_bundle, write_bundle
from tastemaker.retrieval.index import IndexConfig, write_index


def run(home: Home, dataset: str, encoder: str, settings: IndexConfig) -> str:
    """Build the item index.

    Args:
        home: Where to.
        dataset: Digest of a dataset version that holds the encoder's vectors.
        encoder: Digest of an encoder bundle: the embedding space.
        settings: Exact or graph.

    Returns:
        The index bundle's digest.

    Raises:
        NotFound: No such dataset version or encoder, or it holds no vectors of that space.
    """
    data = load_dataset(home, dataset)
    space = load_bundle(home, encoder, family="encoder").digest
    column = data.vector_column(space)
    items = data.read("items", ["item_id", "category", "price", column])
    vectors_ND = column_matrix(items[column])

    def write(folder: Path) -> None:
        write_index(items, vectors_ND, space, settings, folder)

    card = Card(
        family="index",
        config=settings.model_dump(mode="json"),
        parents={"dataset": dataset, "encoder": encoder},
        reads=(space,),
        metrics={"items": len(items), "dim": vectors_ND.shape[1]},
    )
    return write_bundle(home, card, write).digest
