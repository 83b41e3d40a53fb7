"""All events: a dataset version's and the log's, each once, forgotten users left out."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Engine

from tastemaker.data import event_log
from tastemaker.data.dataset import Dataset
from tastemaker.data.event_log import LiveEvent
from tastemaker.data.records import EVENTS

ANONYMOUS = "anonymous-"  # before the session, where the user is unknown


def all_events(dataset: Dataset, engine: Engine) -> pa.Table:
    """Events of the EVENTS schema, by user and time.

    An event that both hold counts once, so taking the log again takes nothing twice. Live
    events of items that the dataset version lacks stay in the log.

    Args:
        dataset: May have no events of its own.
        engine: Database with the log.
    """
    stored = dataset.read("events") if "events" in dataset.tables else EVENTS.empty_table()
    known = set(dataset.read("items", ["item_id"])["item_id"].to_pylist())
    live = pa.Table.from_batches(list(_batches(engine, known)), schema=EVENTS)
    if len(live):
        new = live.group_by(EVENTS.names).aggregate([]).select(EVENTS.names)
        new = new.join(stored, keys=EVENTS.names, join_type="left anti")
        stored = pa.concat_tables([stored, new.select(EVENTS.names).cast(EVENTS)])
    kept = _without(stored, event_log.forgotten_at(engine))
    if kept is stored and not len(live):
        return stored
    order = [(name, "ascending") for name in ("user_id", "time", "item_id", "action", "surface")]
    return kept.sort_by(order)


def _without(events: pa.Table, gone: dict[str, int]) -> pa.Table:
    """The events of which nobody asked to be forgotten since."""
    if not gone:
        return events
    place = pc.index_in(events["user_id"], pa.array(list(gone), pa.string()))
    until = pc.take(pa.array(list(gone.values()), pa.int64()), place)
    after = pc.greater(events["time"].cast(pa.int64()), until)
    return events.filter(pc.fill_null(after, True))


def _batches(engine: Engine, known: set[str]) -> Iterator[pa.RecordBatch]:
    next_id = 0
    while part := event_log.since(engine, next_id):
        next_id = part[-1].event_id + 1
        rows = [_row(event) for event in part if event.item_id in known]
        yield pa.RecordBatch.from_pylist(rows, schema=EVENTS)


def _row(event: LiveEvent) -> dict[str, object]:
    return {
        "user_id": event.user_id or ANONYMOUS + event.session_id,
        "session_id": event.session_id,
        "item_id": event.item_id,
        "action": event.action,
        "surface": event.surface,
        "time": event.time_ms,
    }
