"""KServe server of the item index: nearest items to a vector or to items.

POST /v1/models/retrieval:predict {"instances": [{"vector": [...], "k": 10, "space": "<digest>"}]}
-> {"predictions": [[{"item_id": "a", "score": 0.9}, ...]]}
"""

import argparse
from dataclasses import asdict
from typing import Any

from pydantic import Field

from tastemaker.promotion.bundle import read_bundle
from tastemaker.retrieval.index import ItemIndex, Query
from tastemaker.serving.kserve_app import MAX_K, Instance, TypedModel, arguments, serve

MAX_ITEMS = 1000  # liked, unliked or excluded in one instance


class RetrievalInstance(Instance):
    """A search; `space` names the embedding space that the caller works in."""

    vector: list[float] | None = Field(default=None, min_length=1, max_length=8192)
    like: list[str] = Field(default=[], max_length=MAX_ITEMS)
    unlike: list[str] = Field(default=[], max_length=MAX_ITEMS)
    exclude: list[str] = Field(default=[], max_length=MAX_ITEMS)
    category: str | None = None
    max_price: float | None = Field(default=None, allow_inf_nan=False)
    k: int = Field(default=10, ge=1, le=MAX_K)
    space: str


def predict(index: ItemIndex, instances: list[RetrievalInstance]) -> dict[str, Any]:
    """Search once for each instance.

    Raises:
        SpaceMismatch: Another space than the index's.
        NotFound: An item that the index does not hold.
        DataError: Nothing to search for.
    """
    found = [
        index.search(Query(**one.model_dump(exclude={"space"})), space=one.space)
        for one in instances
    ]
    return {"predictions": [[asdict(hit) for hit in hits] for hits in found]}


def load(given: argparse.Namespace) -> TypedModel:
    """Open the bundle."""
    bundle = read_bundle(given.model_dir, family="index")
    index = ItemIndex(bundle.path)
    bundle.check_space(index.space)
    return TypedModel(
        "retrieval",
        RetrievalInstance,
        lambda instances: predict(index, instances),
        bundle=bundle.digest,
    )


if __name__ == "__main__":
    serve(load, arguments(__doc__))
