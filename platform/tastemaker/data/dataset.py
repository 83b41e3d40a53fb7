"""Dataset versions: immutable, content-addressed sets of the tables items, boards and events.

A version is a small YAML file that names each table's Lance folder, its Lance version and its
content digest. A table is never copied: a new version that adds events or a vector column
refers to the tables that it shares with its parent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa
import yaml

from tastemaker.core import digests
from tastemaker.core.errors import DataError, NotFound, ServiceError
from tastemaker.core.home import Home


@dataclass(frozen=True)
class Table:
    """One table of a dataset version.

    Attributes:
        uri: Folder below the home.
        version: Lance version of that folder, >= 1.
        rows: Number of rows.
        content: Digest of its content.
    """

    uri: str
    version: int
    rows: int
    content: str


@dataclass(frozen=True)
class Dataset:
    """A dataset version.

    Attributes:
        home: Where its tables lie.
        name: The catalogue's name.
        tables: By name: items, boards, events.
        parents: Digests of the versions that it was made from.
        spaces: Encoder bundle digest by vector column of items.
        notes: Counts and reasons of the job that wrote it (its data report in numbers).
    """

    home: Home
    name: str
    tables: Mapping[str, Table]
    parents: tuple[str, ...] = ()
    spaces: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Digest of the tables' content, the parents and the spaces."""
        contents = {name: table.content for name, table in self.tables.items()}
        return digests.of_json([self.name, contents, list(self.parents), dict(self.spaces)])

    def read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a table, whole or some of its columns, in its stored order.

        Raises:
            NotFound: The version has no such table, or its files are gone.
        """
        return self.open(table).to_table(columns=list(columns) if columns else None)

    def open(self, table: str) -> Any:
        """The Lance dataset of a table at its pinned version.

        Raises:
            NotFound: The version has no such table, or its files are gone.
        """
        if table not in self.tables:
            known = ", ".join(self.tables)
            raise NotFound(f"dataset version {self.digest} has no table {table!r}; it has: {known}")
        at = self.tables[table]
        try:
            return open_table(self.home, at.uri, at.version)
        except NotFound as error:
            raise NotFound(f"dataset version {self.digest}: {error}") from None

    def vector_column(self, space: str) -> str:
        """Name of the items column that holds vectors of an embedding space.

        Raises:
            NotFound: The version holds no vectors of that space.
        """
        for column, written_in in self.spaces.items():
            if written_in == space:
                return column
        held = ", ".join(self.spaces.values()) or "none"
        raise NotFound(
            f"dataset version {self.digest} holds no vectors of embedding space {space} "
            f"(it holds: {held}); run `tastemaker precompute-embeddings` with that encoder"
        )

    def save(self) -> str:
        """Write the version's file; returns its digest."""
        content = {
            "name": self.name,
            "tables": {name: asdict(table) for name, table in self.tables.items()},
            "parents": list(self.parents),
            "spaces": dict(self.spaces),
            "notes": dict(self.notes),
        }
        name = f"{self.digest}.yaml"
        if not self.home.holds("datasets", name):
            self.home.write_text(yaml.safe_dump(content, sort_keys=False), "datasets", name)
        return self.digest


def load_dataset(home: Home, digest: str) -> Dataset:
    """Open a dataset version by its digest.

    Raises:
        NotFound: The home has no such version.
        DataError: Its file says something else than what it is named by.
    """
    text = home.read_text("datasets", f"{digest}.yaml")
    if text is None:
        raise NotFound(f"no dataset version {digest!r} in {home.location}")
    content = yaml.safe_load(text)
    found = Dataset(
        home=home,
        name=content["name"],
        tables={name: Table(**table) for name, table in content["tables"].items()},
        parents=tuple(content["parents"]),
        spaces=content["spaces"],
        notes=content["notes"],
    )
    if found.digest != digest:
        path = home.uri("datasets", f"{digest}.yaml")
        raise DataError(f"{path} is corrupted: its content is that of {found.digest}")
    return found


def open_table(home: Home, uri: str, version: int | None = None) -> Any:
    """The Lance dataset of a table, on this disk or on S3.

    Args:
        home: Where it lies.
        uri: Its folder below the home.
        version: Lance version; default: the latest.

    Raises:
        NotFound: There is no such table or version.
        ServiceError: S3 does not give it out.
    """
    import lance

    where = home.uri(uri)
    try:
        return lance.dataset(where, version=version, storage_options=home.storage_options)
    except (ValueError, OSError) as error:
        if "not found" in str(error):
            raise NotFound(f"table {where} is gone from the home") from None
        raise ServiceError(f"table {where} cannot be opened: {error}") from None


def write_table(home: Home, name: str, table: pa.Table) -> Table:
    """Write a table as a Lance folder named by its content; the same content is written once.

    Args:
        home: Where to.
        name: items, boards or events.
        table: The rows, in the order that they keep.
    """
    content = table_digest(table)
    uri = f"tables/{name}-{content}.lance"
    try:
        open_table(home, uri, version=1)
    except NotFound:
        create_table(home, uri, table)
    return Table(uri=uri, version=1, rows=len(table), content=content)


def create_table(home: Home, uri: str, rows: pa.Table | pa.RecordBatchReader) -> None:
    """Write a table's first version: it is there whole or not at all.

    Args:
        home: Where to.
        uri: Its folder below the home, which names its content.
        rows: In the order that they keep.

    Raises:
        ConfigError: The home is on a server that loses concurrent commits.
    """
    import lance

    home.require_tables()
    if home.storage_options is None:
        with home.staging() as staging:
            staged = staging / "table.lance"
            lance.write_dataset(rows, str(staged))
            home.publish(staged, uri)
        return
    try:  # the commit is one conditional PUT; files of a writer that died are never referred to
        lance.write_dataset(rows, home.uri(uri), storage_options=home.storage_options)
    except OSError:
        open_table(home, uri, version=1)  # another process was first with the same content


def table_digest(table: pa.Table) -> str:
    """Digest of a table's schema and values; how the rows are chunked does not count."""
    sink = pa.BufferOutputStream()
    whole = table.combine_chunks().replace_schema_metadata(None)
    with pa.ipc.new_stream(sink, whole.schema) as writer:
        writer.write_table(whole)
    return digests.of_bytes([sink.getvalue()])
