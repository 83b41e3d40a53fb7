"""KServe server of the sequence model: a user's embedding and next items, from their events.

It keeps nothing of any user: whoever asks brings the latest events (the feature store holds
them), so that any replica can answer for anybody, and a deleted user is gone.

POST /v1/models/recommender:predict {"instances": [{"events": [{"item_id": "a", "action": "save"}],
"k": 10}]}
-> {"predictions": [{"user_embedding": [...], "items": [{"item_id": "b", "score": 3.2}]}],
    "space": "<digest>"}
"""

import argparse
from typing import Any

from pydantic import Field

from tastemaker.promotion.bundle import read_bundle
from tastemaker.sequence.histories import from_events
from tastemaker.sequence.recommender import Recommender, load_sequence
from tastemaker.serving.kserve_app import MAX_K, Instance, TypedModel, arguments, serve

MAX_EVENTS = 5000  # of one instance; the model itself reads the last of them


class Event(Instance):
    """Something that the user did; oldest first in a list."""

    item_id: str
    action: str


class RecommenderInstance(Instance):
    """Somebody's events; none: popular items."""

    events: list[Event] = Field(max_length=MAX_EVENTS)
    exclude: list[str] = Field(default=[], max_length=1000)
    k: int = Field(default=10, ge=1, le=MAX_K)


def predict(
    recommender: Recommender, space: str, instances: list[RecommenderInstance]
) -> dict[str, Any]:
    """Embed and recommend for each instance; the reply names the space that the model reads.

    Raises:
        DataError: An unknown item or action among the events.
    """
    predictions = []
    for one in instances:
        events = [event.model_dump() for event in one.events]
        history = from_events("(given)", events, recommender.row_of)
        items = recommender.recommend(history, one.k, exclude=one.exclude)
        predictions.append(
            {
                "user_embedding": recommender.user_embedding(history).tolist(),
                "items": [{"item_id": item, "score": score} for item, score in items],
            }
        )
    return {"predictions": predictions, "space": space}


def load(given: argparse.Namespace) -> TypedModel:
    """Open the bundle."""
    bundle = read_bundle(given.model_dir, family="sequence")
    recommender, (space,) = load_sequence(bundle.path), bundle.card.reads
    return TypedModel(
        "recommender",
        RecommenderInstance,
        lambda instances: predict(recommender, space, instances),
        bundle=bundle.digest,
    )


if __name__ == "__main__":
    serve(load, arguments(__doc__))
