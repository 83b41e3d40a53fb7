"""KServe server of the sequence model: a user's embedding and next items.

POST /v1/models/recommender:predict {"instances": [{"user_id": "u1", "k": 10}]}, or with
{"events": [{"item_id": "a", "action": "save"}], "k": 10} for somebody new
-> {"predictions": [{"user_embedding": [...], "items": [{"item_id": "b", "score": 3.2}],
"recent": ["a"]}]}; `recent` holds the latest items that the user acted on, newest last
"""

import argparse
from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, model_validator

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import load_dataset
from tastemaker.promotion.bundle import read_bundle
from tastemaker.sequence.histories import History, from_events, histories
from tastemaker.sequence.recommender import Recommender, load_sequence
from tastemaker.serving.kserve_app import MAX_K, Instance, TypedModel, arguments, serve

NUM_RECENT = 10
MAX_EVENTS = 5000  # of one instance; the model itself reads the last of them


class Event(Instance):
    """Something that the user did; oldest first in a list."""

    item_id: str
    action: str


class RecommenderInstance(Instance):
    """A known user or somebody's events."""

    user_id: str | None = Field(default=None, max_length=200)
    events: list[Event] | None = Field(default=None, max_length=MAX_EVENTS)
    exclude: list[str] = Field(default=[], max_length=1000)
    k: int = Field(default=10, ge=1, le=MAX_K)

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.user_id is None) == (self.events is None):
            raise ValueError('give either "user_id" or "events"')
        return self


def predict(
    recommender: Recommender,
    users: Mapping[str, History],
    instances: list[RecommenderInstance],
) -> dict[str, Any]:
    """Embed and recommend for each instance.

    Raises:
        NotFound: An unknown user.
        DataError: An unknown item or action among the events.
    """
    predictions = []
    for one in instances:
        history = _history(recommender, users, one)
        items = recommender.recommend(history, one.k, exclude=one.exclude)
        predictions.append(
            {
                "user_embedding": recommender.user_embedding(history).tolist(),
                "items": [{"item_id": item, "score": score} for item, score in items],
                "recent": [recommender.item_ids[row] for row in history.items[-NUM_RECENT:]],
            }
        )
    return {"predictions": predictions}


def _history(
    recommender: Recommender, users: Mapping[str, History], one: RecommenderInstance
) -> History:
    if one.events is not None:
        events = [event.model_dump() for event in one.events]
        return from_events("(given)", events, recommender.row_of)
    assert one.user_id is not None
    if one.user_id not in users:
        raise NotFound(f"no user {one.user_id!r} among the {len(users)} users with events")
    return users[one.user_id]


def load(given: argparse.Namespace) -> TypedModel:
    """Open the bundle and the users' events."""
    bundle = read_bundle(given.model_dir, family="sequence")
    recommender = load_sequence(bundle.path)
    data = load_dataset(Home.open(given.home), given.dataset)
    found = histories(data.read("events"), recommender.item_ids)
    users = {history.user_id: history for history in found}
    return TypedModel(
        "recommender",
        RecommenderInstance,
        lambda instances: predict(recommender, users, instances),
    )


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--home", help="Default: TASTEMAKER_HOME.")
    parser.add_argument("--dataset", required=True, help="Digest of the users' dataset version.")
    serve(load, parser)
