"""The offline tables: what the online store would have held at every moment, as Parquet.

A row is the state right after its `event_timestamp`; Feast's point-in-time join picks the last
row before a question's time. Rows are written with the same functions as the online store.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tastemaker.core.progress import track
from tastemaker.features.item_facts import ItemFacts
from tastemaker.features.item_popularity import ITEM_SIGNALS, item_signals
from tastemaker.features.online import history_row, session_row
from tastemaker.features.signals import KEPT, READ, Happened

Embed = Callable[[Sequence[Sequence[Happened]]], np.ndarray]
_ROWS = 2000  # of one row group
_TIME = pa.field("event_timestamp", pa.timestamp("ms", tz="UTC"), nullable=False)
_STRINGS, _TIMES = pa.list_(pa.string()), pa.list_(pa.int64())


def _events_schema(whose: str) -> list[pa.Field]:
    kinds = {"times": _TIMES}
    names = ("items", "actions", "times", "categories", "styles")
    return [pa.field(f"{whose}_{name}", kinds.get(name, _STRINGS)) for name in names]


SCHEMAS = {
    "user_history": pa.schema([pa.field("user_id", pa.string()), _TIME, *_events_schema("user")]),
    "user_embedding": pa.schema(
        [
            pa.field("user_id", pa.string()),
            _TIME,
            pa.field("user_embedding", pa.list_(pa.float32())),
            pa.field("embedding_model", pa.string()),
            pa.field("embedding_ms", pa.int64()),
        ]
    ),
    "session_history": pa.schema(
        [
            pa.field("session_id", pa.string()),
            _TIME,
            *_events_schema("session"),
            pa.field("session_embedding", pa.list_(pa.float32())),
            pa.field("session_space", pa.string()),
        ]
    ),
    "item_signals": pa.schema([pa.field("item_id", pa.string()), _TIME, *ITEM_SIGNALS]),
    "store_state": pa.schema(
        [
            pa.field("state_id", pa.string()),
            _TIME,
            pa.field("tables", pa.string()),
            pa.field("written_ms", pa.int64()),
        ]
    ),
}


def write_tables(
    folder: Path,
    events: pa.Table,
    facts: ItemFacts,
    *,
    embed: Embed,
    model: str,
    now_ms: int,
) -> None:
    """Write every table.

    Args:
        folder: Where to; exists.
        events: EVENTS schema, any order; an event that is there twice counts once.
        facts: Of the catalogue; events of other items are left out.
        embed: The user model: lists of events to user embeddings, zeros for none.
        model: Digest of its bundle.
        now_ms: No row is younger.
    """
    rows = sorted(set(_rows(events, facts)))
    by_user = _grouped(rows, 0)
    by_session = _grouped(sorted(rows, key=lambda row: row[5]), 5)
    _write(folder, "user_history", _user_rows(by_user, facts))
    _write(folder, "user_embedding", _embedding_rows(by_user, embed, model))
    _write(folder, "session_history", _session_rows(by_session, facts))
    item_rows = item_signals(((row[2], row[3], row[1]) for row in rows), now_ms=now_ms)
    _write(folder, "item_signals", item_rows)
    _write(folder, "store_state", iter(()))


def latest(folder: Path, view: str) -> Iterator[list[dict[str, Any]]]:
    """The last row of each key of a table, in parts; keys stand together, in time order."""
    key = SCHEMAS[view].names[0]
    before: dict[str, Any] | None = None
    part: list[dict[str, Any]] = []
    with pq.ParquetFile(folder / f"{view}.parquet") as file:
        for group in file.iter_batches(batch_size=_ROWS):
            keys = group.column(0).to_pylist()
            ends = [n for n in range(len(keys)) if n + 1 == len(keys) or keys[n + 1] != keys[n]]
            for row in group.take(pa.array(ends)).to_pylist():
                if before is not None and before[key] != row[key]:
                    part.append(before)
                before = row
            if len(part) >= _ROWS // 4:
                yield part
                part = []
    if before is not None:
        part.append(before)
    if part:
        yield part


def num_keys(folder: Path, view: str) -> int:
    """How many keys a table has."""
    column = pq.read_table(folder / f"{view}.parquet", columns=[SCHEMAS[view].names[0]]).column(0)
    return len(column.unique())


Row = tuple[str, int, str, str, str, str]  # user, time_ms, item, action, surface, session


def _rows(events: pa.Table, facts: ItemFacts) -> Iterator[Row]:
    times = events["time"].cast(pa.int64()).to_pylist()
    names = ("user_id", "item_id", "action", "surface", "session_id")
    users, items, actions, surfaces, sessions = (events[name].to_pylist() for name in names)
    for row in zip(users, times, items, actions, surfaces, sessions, strict=True):
        if row[2] in facts.place:
            yield row


def _grouped(rows: list[Row], key: int) -> list[tuple[str, list[tuple[Happened, str]]]]:
    """By user or session: its events that are read, each once, with their session."""
    grouped = []
    for name, own in groupby(rows, key=lambda row: row[key]):
        read = {(row[1], row[2], row[3]): row[5] for row in own if row[3] in READ}
        if read:
            grouped.append((name, sorted(read.items())))
    return grouped


def _states(happened: list[Happened]) -> Iterator[tuple[Happened, ...]]:
    """The kept events after each moment at which something happened."""
    for place, event in enumerate(happened, 1):
        if place == len(happened) or happened[place][0] != event[0]:
            yield tuple(happened[max(0, place - KEPT) : place])


def _user_rows(by_user: list, facts: ItemFacts) -> Iterator[tuple]:
    for user, events in track(by_user, "histories of users", len(by_user)):
        for state in _states([event for event, _ in events]):
            time_ms, columns = history_row(facts, state)
            yield (user, time_ms, *columns.values())


def _session_rows(by_session: list, facts: ItemFacts) -> Iterator[tuple]:
    for session, events in track(by_session, "histories of sessions", len(by_session)):
        for state in _states([event for event, _ in events]):
            time_ms, columns = session_row(facts, state)
            yield (session, time_ms, *columns.values())


def _embedding_rows(by_user: list, embed: Embed, model: str) -> Iterator[tuple]:
    """After each session of a user, what the user model makes of the events until then."""
    for user, events in track(by_user, "embeddings of users", len(by_user)):
        happened = [event for event, _ in events]
        ends = [
            place
            for place, (_, session) in enumerate(events, 1)
            if place == len(events)
            or (events[place][1] != session and happened[place][0] != happened[place - 1][0])
        ]
        states = [happened[max(0, end - KEPT) : end] for end in ends]
        for state, vector in zip(states, embed(states), strict=True):
            yield user, state[-1][0], vector.tolist(), model, state[-1][0]


def _write(folder: Path, view: str, rows: Iterable[tuple]) -> None:
    schema = SCHEMAS[view]
    with pq.ParquetWriter(folder / f"{view}.parquet", schema, compression="zstd") as writer:
        part: list[tuple] = []
        for row in rows:
            part.append(row)
            if len(part) == _ROWS:
                writer.write_batch(_batch(part, schema))
                part = []
        if part:
            writer.write_batch(_batch(part, schema))


def _batch(rows: list[tuple], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.record_batch(arrays, schema=schema)
