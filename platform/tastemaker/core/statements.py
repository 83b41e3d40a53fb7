"""Statements of the hot path: compiled once, then given to the database's driver itself.

SQLAlchemy's own execution takes longer than SQLite takes to run a small statement, and a turn of
the assistant runs seven (benchmarks/statements.py has the figures). Tables and statements stay
SQLAlchemy's, so that one text serves every database; only what happens at each execution is left
out: no result or parameter is converted. Pool, transaction and errors are the engine's.
"""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Boolean, Engine, Enum, Float, Integer, String
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.types import NullType, TypeEngine

from tastemaker.core.database import writer_lock

Values = Mapping[str, Any]
_AS_THEY_ARE = (String, Integer, Float, Boolean, NullType)  # types that drivers take and give


@dataclass(frozen=True)
class _Compiled:
    sql: str
    values: Callable[[Values], Any]  # as the driver wants them
    row: Callable[[Sequence[Any]], Any]


class Statement:
    """A statement, compiled once for each kind of database.

    Args:
        statement: Whose values are bound by name. An insert lists none: `keys` are its columns.
        keys: Names of the values of an insert.

    Raises:
        ValueError: A column or value of a type that has to be converted (when it is compiled).
    """

    def __init__(self, statement: ClauseElement, keys: Sequence[str] | None = None) -> None:
        self._statement, self._keys = statement, keys
        self._compiled: dict[str, _Compiled] = {}

    def compiled(self, engine: Engine) -> _Compiled:
        """For the kind of database that an engine opens."""
        found = self._compiled.get(engine.dialect.name)
        if found is None:
            found = self._compiled[engine.dialect.name] = self._compile(engine)
        return found

    def _compile(self, engine: Engine) -> _Compiled:
        made: Any = self._statement.compile(dialect=engine.dialect, column_keys=self._keys)
        columns = {name: column.type for name, column in _columns(self._statement).items()}
        for name, kind in {**columns, **{n: b.type for n, b in made.binds.items()}}.items():
            _check(name, kind)
        constants = {name: value for name, value in made.params.items() if value is not None}
        row: Any = namedtuple("row", columns)  # type: ignore[misc]
        return _Compiled(made.string, _arranged(made.positiontup, constants), row._make)


def _arranged(order: Sequence[str] | None, constants: Values) -> Callable[[Values], Any]:
    """How a driver wants values: in the order of their places, or by name."""
    if order is None:
        return lambda values: {**constants, **values}
    if not constants:
        return lambda values: tuple([values[name] for name in order])
    return lambda values: tuple([values[n] if n in values else constants[n] for n in order])


def _columns(statement: ClauseElement) -> dict[str, Any]:
    returned = getattr(statement, "exported_columns", None)
    return {} if returned is None else dict(returned.items())


def _check(name: str, kind: TypeEngine[Any]) -> None:
    if not isinstance(kind, _AS_THEY_ARE) or isinstance(kind, Enum):
        raise ValueError(f"{name}: a {kind!r} has to be converted; run it by SQLAlchemy")


class Direct:
    """A transaction whose statements go to the driver; made by `reading` and `writing`."""

    def __init__(self, engine: Engine, connection: Any) -> None:
        self.engine, self._cursor = engine, connection.cursor()

    def one(self, statement: Statement, values: Values) -> Any:
        """The first row, its columns by name; None for none."""
        made = statement.compiled(self.engine)
        self._cursor.execute(made.sql, made.values(values))
        found = self._cursor.fetchall()  # SQLite has written nothing before all rows are read
        return made.row(found[0]) if found else None

    def all(self, statement: Statement, values: Values) -> list[Any]:
        """The rows, their columns by name."""
        made = statement.compiled(self.engine)
        self._cursor.execute(made.sql, made.values(values))
        return [made.row(row) for row in self._cursor.fetchall()]

    def run(self, statement: Statement, values: Values) -> int:
        """The number of rows that were changed."""
        made = statement.compiled(self.engine)
        self._cursor.execute(made.sql, made.values(values))
        return int(self._cursor.rowcount)

    def run_many(self, statement: Statement, rows: Sequence[Values]) -> None:
        """Once for each of these."""
        made = statement.compiled(self.engine)
        self._cursor.executemany(made.sql, [made.values(values) for values in rows])


@contextmanager
def reading(engine: Engine) -> Iterator[Direct]:
    """A transaction that changes nothing.

    Raises:
        DBAPIError: What SQLAlchemy raises of a database's error.
    """
    with _as_sqlalchemys(engine), closing(engine.raw_connection()) as connection:
        yield Direct(engine, connection)  # closing it rolls back


@contextmanager
def writing(engine: Engine) -> Iterator[Direct]:
    """A transaction: committed at the end, or rolled back on an error.

    Raises:
        DBAPIError: What SQLAlchemy raises of a database's error.
    """
    with (
        writer_lock(engine),
        _as_sqlalchemys(engine),
        closing(engine.raw_connection()) as connection,
    ):
        yield Direct(engine, connection)
        connection.commit()


@contextmanager
def _as_sqlalchemys(engine: Engine) -> Iterator[None]:
    errors: Any = engine.dialect.loaded_dbapi.Error
    try:
        yield
    except errors as error:
        raise DBAPIError.instance(None, None, error, errors, dialect=engine.dialect) from error
