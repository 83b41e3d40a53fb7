"""One generation of features, open in the online store: rows in, rows out.

A turn reads the stored features of the service `assistant`, and the mark that the store is full,
from Feast's online store, in one round trip, and calls the on-demand functions itself:
`get_online_features` would convert all values to its messages and back for each of them, which
takes longer than the read. Writes go to the online store in its own form, too:
`FeatureStore.push` builds a data frame, infers its types and converts it back.
(benchmarks/feature_reads.py has the figures of both.)

A store is used by one thread at a time; open one for reading and one for writing.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tastemaker.features import on_demand
from tastemaker.features.item_facts import ItemFacts
from tastemaker.features.signals import Happened, History

if TYPE_CHECKING:
    from feast import FeatureStore

STATE = "features"  # the one key of the view store_state
_VIEWS_OF = {
    "user_id": ("user_history", "user_embedding"),
    "session_id": ("session_history",),
}


class OnlineFeatures:
    """Reads and writes the online store of a Feast store.

    Args:
        store: An open Feast store with the definitions applied.
    """

    def __init__(self, store: "FeatureStore") -> None:
        self.store = store
        self.config, self.provider = store.config, store.provider
        self.views = {view.name: view for view in store.list_feature_views()}
        self.join_keys = {name: view.join_keys[0] for name, view in self.views.items()}
        views = store.get_feature_service("assistant_stored").feature_view_projections
        self.turn = {view.name: [field.name for field in view.features] for view in views}
        self.turn["store_state"] = ["tables"]
        if self.config.online_store.type == "sqlite":
            connection = self.provider.online_store._get_conn(self.config)
            connection.execute("PRAGMA journal_mode=WAL")  # readers never wait for a writer
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA busy_timeout=10000")

    def prepare(self) -> None:
        """Make the store's tables where they are missing."""
        entities, views = self.store.list_entities(), list(self.views.values())
        self.provider.update_infra(self.config.project, [], views, [], entities, partial=False)

    def read_turn(self, user_id: str | None, session_id: str, now_ms: int) -> dict[str, Any]:
        """Everything that a turn needs, by feature name, from SQLite: one statement for all views.

        Returns:
            The features, and under `tables` what `tables()` gives: a store that lost its data
            shows in every read of it.
        """
        from feast.protos.feast.types.Value_pb2 import Value

        keys = self._keys(user_id, session_id)
        own = {self.join_keys[view]: key for view, key in keys.items()}
        binary = {name: self._binary(key) for name, key in own.items()}  # two views share a key
        connection = self.provider.online_store._get_conn(self.config)
        rows = connection.execute(self._sqlite_read, [binary[self.join_keys[v]] for v in keys])
        found: dict[str, Any] = dict.fromkeys(self._wanted)
        for name, value in rows:
            if name in found:
                found[name] = _plain(Value.FromString(value))
        return _turn(found, now_ms)

    @cached_property
    def _wanted(self) -> list[str]:
        """Every stored feature that a turn reads; no two views have one of the same name."""
        return [name for names in self.turn.values() for name in names]

    @cached_property
    def _sqlite_read(self) -> str:
        """The rows of one key of each view that a turn reads, in one statement."""
        tables = [self._sqlite_table(view) for view in self.turn]
        return " UNION ALL ".join(
            f"SELECT feature_name, value FROM {table} WHERE entity_key = ?" for table in tables
        )

    def _sqlite_table(self, view: str) -> str:
        from feast.infra.online_stores.sqlite import _quote_id, _table_id

        versions = self.config.registry.enable_online_feature_view_versioning
        return _quote_id(_table_id(self.config.project, self.views[view], versions))

    def _binary(self, key: Any) -> bytes:
        """A key as SQLite holds it."""
        from feast.infra.key_encoding_utils import serialize_entity_key

        version = self.config.entity_key_serialization_version
        return bytes(serialize_entity_key(key, entity_key_serialization_version=version))

    async def read_turn_async(
        self, user_id: str | None, session_id: str, now_ms: int
    ) -> dict[str, Any]:
        """As `read_turn`, from Redis: one pipeline for all views.

        All calls belong to one event loop, which `aclose` is for.
        """
        from feast.infra.online_stores.redis import _redis_key
        from feast.protos.feast.types.Value_pb2 import Value

        version = self.config.entity_key_serialization_version
        client = await self.provider.online_store._get_client_async(self.config.online_store)
        async with client.pipeline(transaction=False) as pipe:
            for view, key in self._keys(user_id, session_id).items():
                name = _redis_key(self.config.project, key, version)
                pipe.hmget(name, self._redis_fields[view])
            rows = await pipe.execute()
        found = {
            name: _plain(Value.FromString(value)) if value else None
            for names, row in zip(self.turn.values(), rows, strict=True)
            for name, value in zip(names, row, strict=True)
        }
        return _turn(found, now_ms)

    @cached_property
    def _redis_fields(self) -> dict[str, list[bytes]]:
        """By view, what its features are called in Redis."""
        from feast.infra.online_stores.helpers import _mmh3

        return {
            view: [_mmh3(f"{view}:{name}") for name in names] for view, names in self.turn.items()
        }

    async def aclose(self) -> None:
        """Close the connections of `read_turn_async`; Feast itself leaves them open."""
        online = self.provider.online_store
        if (client := getattr(online, "_client_async", None)) is not None:
            online._client_async = None
            await client.aclose()

    def warm_up(self) -> None:
        """Read once, of nobody, as turns do: that imports half of Feast, and takes seconds.

        Not within an event loop.
        """
        if self.config.online_store.type == "sqlite":
            self.read_turn(None, "first", 0)
        else:
            self.tables()  # the client without a loop, which the outbox takes
            asyncio.run(self._first_read())

    async def _first_read(self) -> None:
        try:
            await self.read_turn_async(None, "first", 0)
        finally:
            await self.aclose()

    def events(self, view: str, keys: Sequence[str]) -> list[list[Happened]]:
        """The stored events of users or sessions; none for those that the store lacks."""
        whose = "user" if view == "user_history" else "session"
        names = [f"{whose}_times", f"{whose}_items", f"{whose}_actions"]
        rows = self._read(view, keys, names)
        return [
            list(
                zip(
                    row[names[0]].int64_list_val.val,
                    row[names[1]].string_list_val.val,
                    row[names[2]].string_list_val.val,
                    strict=True,
                )
            )
            if row
            else []
            for row in rows
        ]

    def tables(self) -> str:
        """Digest of the tables that the store was filled from; "" where it holds nothing."""
        (row,) = self._read("store_state", [STATE], ["tables"])
        return str(row["tables"].string_val) if row else ""

    def write(self, view: str, rows: Mapping[str, tuple[int, Mapping[str, Any]]]) -> None:
        """Write rows of a view.

        Args:
            view: Its name.
            rows: By key: time of the newest event in ms, and the value of each field.
        """
        table = self.views[view]
        kinds = {field.name: str(field.dtype) for field in table.features}
        data = [
            (
                self._key(table, key),
                {name: _value(kinds[name], value) for name, value in values.items()},
                datetime.fromtimestamp(time_ms / 1000, UTC),
                None,
            )
            for key, (time_ms, values) in rows.items()
        ]
        if data:
            self.provider.online_write_batch(self.config, table, data, progress=None)

    def delete(self, join_key: str, key: str) -> int:
        """Delete all rows of a user (`user_id`) or a session (`session_id`).

        Returns:
            How many views held something.
        """
        views = [self.views[name] for name in _VIEWS_OF[join_key]]
        held = sum(bool(self._read(view.name, [key], [])[0]) for view in views)
        entity = self._key(views[0], key)
        version = self.config.entity_key_serialization_version
        online = self.provider.online_store
        if self.config.online_store.type == "sqlite":
            binary = self._binary(entity)
            with online._get_conn(self.config) as connection:
                for view in views:
                    table = self._sqlite_table(view.name)
                    connection.execute(f"DELETE FROM {table} WHERE entity_key = ?", (binary,))
        else:
            from feast.infra.online_stores.redis import _redis_key

            client = online._get_client(self.config.online_store)
            client.delete(_redis_key(self.config.project, entity, version))
        return held

    def _read(self, view: str, keys: Sequence[str], names: list[str]) -> list[dict[str, Any]]:
        table = self.views[view]
        names = names or [field.name for field in table.features]
        entities = [self._key(table, key) for key in keys]
        # A copy of the names: the Redis store appends its own to the list that it is given.
        rows = self.provider.online_read(self.config, table, entities, list(names))
        return [values if _holds(values, names) else {} for _, values in rows]

    def _keys(self, user_id: str | None, session_id: str) -> dict[str, Any]:
        """By view that a turn reads, the key of its row."""
        own = {"user_id": user_id or "", "session_id": session_id, "state_id": STATE}
        keys = {name: _entity_key(name, value) for name, value in own.items()}
        return {view: keys[self.join_keys[view]] for view in self.turn}

    def _key(self, view: Any, key: str) -> Any:
        return _entity_key(self.join_keys[view.name], key)


def _entity_key(join_key: str, value: str) -> Any:
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    return EntityKey(join_keys=[join_key], entity_values=[Value(string_val=value)])


def _turn(stored: dict[str, Any], now_ms: int) -> dict[str, Any]:
    """Stored features, and what is computed of them."""
    columns = {name: [value] for name, value in (stored | {"now_ms": now_ms}).items()}
    computed = on_demand.user_signals(columns) | on_demand.session_signals(columns)
    found = {name: values[0] for name, values in (columns | computed).items()}
    return found | {"tables": found["tables"] or ""}


def _plain(value: Any) -> Any:
    """A stored value as Python's own; None where there is none."""
    kind = None if value is None else value.WhichOneof("val")
    if kind is None:
        return None
    found = getattr(value, kind)
    return list(found.val) if kind.endswith("_list_val") else found


def _holds(values: dict[str, Any] | None, names: list[str]) -> bool:
    """Whether a row is in the store; Redis gives unset values for one that is not."""
    return values is not None and all(
        name in values and values[name].WhichOneof("val") for name in names
    )


def history_row(facts: ItemFacts, events: tuple[Happened, ...]) -> tuple[int, dict[str, Any]]:
    """A row of `user_history`, as stored online and offline."""
    return _newest(events), _columns("user", facts.history(events))


def session_row(facts: ItemFacts, events: tuple[Happened, ...]) -> tuple[int, dict[str, Any]]:
    """A row of `session_history`, as stored online and offline."""
    history = facts.history(events)
    embedding = facts.session_embedding(history)
    return _newest(events), {
        **_columns("session", history),
        "session_embedding": [] if embedding is None else embedding.tolist(),
        "session_space": "" if embedding is None else facts.space,
    }


def _newest(events: tuple[Happened, ...]) -> int:
    return events[-1][0] if events else 0


def _columns(whose: str, history: History) -> dict[str, Any]:
    return {f"{whose}_{name}": list(column) for name, column in vars(history).items()}


def _value(kind: str, value: Any) -> Any:
    from feast.protos.feast.types import Value_pb2 as proto

    if kind == "Array(String)":
        return proto.Value(string_list_val=proto.StringList(val=value))
    if kind == "Array(Int64)":
        return proto.Value(int64_list_val=proto.Int64List(val=value))
    if kind == "Array(Float32)":
        return proto.Value(float_list_val=proto.FloatList(val=value))
    single = {"String": "string_val", "Int64": "int64_val", "Float64": "double_val"}
    return proto.Value(**{single[kind]: value})
