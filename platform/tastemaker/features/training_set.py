"""Point-in-time training sets: what the features were right before each thing happened.

The features come from the definitions that serve; a question names its entities and its instant,
and gets the values as they stood then. What happened at the instant itself is not seen.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from tastemaker.core.errors import DataError
from tastemaker.features.item_popularity import POSITIVE

if TYPE_CHECKING:
    from feast import FeatureStore

_INSTANT = [
    pa.field("event_timestamp", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("now_ms", pa.int64(), nullable=False),
]
_ROW = "question"  # Feast returns rows in another order


def next_item_questions(events: pa.Table) -> pa.Table:
    """Before each positive event: whose history, and which item came next.

    Args:
        events: EVENTS schema.

    Returns:
        user_id, item_id (the target), action, event_timestamp and now_ms (1 ms before).
    """
    chosen = events.filter(pc.is_in(events["action"], pa.array(POSITIVE)))
    return _before(chosen.select(["user_id", "item_id", "action", "time"]))


def ranker_questions(events: pa.Table) -> pa.Table:
    """Each impression once, and whether the session went on to act on the item.

    Args:
        events: EVENTS schema.

    Returns:
        user_id, session_id, item_id, label (0 or 1), event_timestamp and now_ms (1 ms before).
    """
    key = ["user_id", "session_id", "item_id"]
    shown = events.filter(pc.equal(events["action"], "impression")).select([*key, "time"])
    shown = shown.group_by([*key, "time"]).aggregate([])
    acted = events.filter(pc.is_in(events["action"], pa.array(POSITIVE))).select([*key, "time"])
    last = acted.group_by(key).aggregate([("time", "max")])
    joined = shown.join(last, keys=key, join_type="left outer")
    label = pc.fill_null(pc.greater_equal(joined["time_max"], joined["time"]), False)
    labelled = joined.append_column("label", label.cast(pa.int8()))
    order = [(name, "ascending") for name in ("user_id", "time", "item_id")]
    return _before(labelled.select([*key, "label", "time"]).sort_by(order))


def answers(
    store: "FeatureStore", service: str, questions: pa.Table, *, part: int = 2000
) -> Iterator[pa.Table]:
    """The features of a service at each question's instant.

    Args:
        store: Open, over the offline tables.
        service: Name of a FeatureService.
        questions: The service's entities, event_timestamp, now_ms, and whatever else is wanted.
        part: Questions of one join: its memory grows with their number times the number of
            states of one user, since DuckDB ranks all of them.

    Yields:
        Tables with the columns of the questions and the features, in the order of the questions.

    Raises:
        DataError: Feast gave another number of rows than it was asked for.
    """
    wanted = store.get_feature_service(service)
    for begin in range(0, len(questions), part):
        asked = questions.slice(begin, part)
        numbered = asked.append_column(_ROW, pa.array(range(len(asked)), pa.int64()))
        job = store.get_historical_features(entity_df=numbered.to_pandas(), features=wanted)
        found = job.to_arrow()
        _check(found, len(asked), service)
        yield found.sort_by(_ROW).drop_columns([_ROW])


def _check(found: pa.Table, num_asked: int, service: str) -> None:
    num_distinct = len(pc.unique(found[_ROW]))
    if len(found) != num_asked or num_distinct != num_asked:
        raise DataError(
            f"feature service {service!r} gave {len(found)} rows ({num_distinct} distinct) for "
            f"{num_asked} questions; a point-in-time join must give exactly one for each"
        )


def _before(events: pa.Table) -> pa.Table:
    just_before = pc.subtract(events["time"].cast(pa.int64()), 1)
    stamps = just_before.cast(pa.timestamp("ms", tz="UTC")).cast(_INSTANT[0].type)
    kept = events.drop_columns(["time"])
    return kept.append_column(_INSTANT[0], stamps).append_column(_INSTANT[1], just_before)
