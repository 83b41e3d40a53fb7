"""Job: point-in-time training sets of the user model and of a ranker, from the live definitions."""

from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlalchemy import Engine

from tastemaker.core import digests
from tastemaker.core.errors import DataError
from tastemaker.core.home import Home
from tastemaker.core.progress import Progress
from tastemaker.data.all_events import all_events
from tastemaker.data.dataset import load_dataset
from tastemaker.features.config import FeatureConfig, current, open_store
from tastemaker.features.registry import make_registry
from tastemaker.features.training_set import answers, next_item_questions, ranker_questions

Kind = Literal["next_item", "ranker"]


def run(home: Home, kind: Kind, engine: Engine, settings: FeatureConfig) -> str:
    """Write one training set from the live generation of features.

    Args:
        home: Where everything lives; features are materialised there.
        kind: `next_item`: history before each positive event, and its item. `ranker`: signals
            of user, session and item at each impression, and whether the session acted on it.
        engine: Database with the log of live events.
        settings: Of the features.

    Returns:
        Digest of the file `training_sets/<digest>.parquet`.

    Raises:
        NotFound: Nothing has been materialised.
        DataError: No event to learn from, or a join that lost or doubled a row.
    """
    generation = current(home)
    make_registry(home, settings, generation.tables)
    events = all_events(load_dataset(home, generation.dataset), engine)
    # Younger events are not in the offline tables yet.
    known = events.filter(pc.less_equal(events["time"].cast(pa.int64()), generation.written_ms))
    questions = next_item_questions(known) if kind == "next_item" else ranker_questions(known)
    if not len(questions):
        raise DataError(f"dataset version {generation.dataset}: no events for a {kind} set")
    store = open_store(home, settings.by_file(), generation.tables)
    service = "recommender" if kind == "next_item" else "ranker"
    progress, done = Progress(f"{kind} training set", len(questions)), 0
    with home.staging() as staging:
        staged = staging / "set.parquet"
        writer: pq.ParquetWriter | None = None
        for part in answers(store, service, questions):
            writer = writer or pq.ParquetWriter(staged, part.schema, compression="zstd")
            writer.write_table(part.cast(writer.schema))
            done += len(part)
            progress.update(done)
        assert writer is not None
        writer.close()
        digest = digests.of_file(staged)
        home.publish(staged, "training_sets", f"{digest}.parquet")
    return digest
