"""The operational database: conversations, boards, live events, keys, the ledger.

What changes by the second lives here; what is trained on lives in dataset versions. One SQLite
file in the home by default, Postgres by configuration. A module that owns a concept
declares its tables on `metadata`; opening the database creates tables and indexes that are missing.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Engine, MetaData, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from tastemaker.core.errors import ConfigError

metadata = MetaData()
P = ParamSpec("P")
T = TypeVar("T")
_BUSY_MS = 10_000  # that another process is waited for
# How long a Postgres is waited for (libpq's names): s to connect, ms for what was sent to arrive,
# and s until a host that is gone shows while nothing is sent.
_PATIENCE = {
    "connect_timeout": 5,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 2,
}
_LOOK_S = 1.5
_MAX_THREADS = 15  # connections that SQLAlchemy's pool opens at most
_KINDS = ("sqlite", "postgresql")
_WRITING = "tastemaker_writing"
_writers: WeakKeyDictionary[Engine, threading.RLock] = WeakKeyDictionary()  # of SQLite files
_threads: WeakKeyDictionary[Engine, ThreadPoolExecutor] = WeakKeyDictionary()


def open_database(url: str) -> Engine:
    """Open a database and create what is missing in it.

    Args:
        url: For example `sqlite:////home/run/assistant.db` or `postgresql+psycopg://...`; of no
            other kind.

    Returns:
        An engine; safe to use from several threads. SQLite writes ahead (WAL), so readers never
        wait for a writer, and a killed process loses no committed row.

    Raises:
        ConfigError: A URL that is none, or a database that cannot be opened.
    """
    try:
        kind = make_url(url).get_backend_name()
        if kind not in _KINDS:
            said = f"{kind!r}: one of {', '.join(_KINDS)} is needed"
            raise ConfigError(f"database {_without_password(url)} cannot be opened: {said}")
        engine = _engine(url)
        if engine.dialect.name == "sqlite":
            if file := make_url(url).database:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
            event.listen(engine, "connect", _set_up_sqlite)
            _one_writer(engine)
        metadata.create_all(engine)
        for table in metadata.tables.values():  # of a table that was there, create_all adds none
            for index in table.indexes:
                index.create(engine, checkfirst=True)
    except (SQLAlchemyError, OSError, ImportError) as error:
        why = getattr(error, "orig", None) or error  # the driver's words, without SQLAlchemy's
        raise ConfigError(f"database {_without_password(url)} cannot be opened: {why}") from None
    return engine


def _engine(url: str) -> Engine:
    """Not connected yet; what the URL says of its own patience holds."""
    if url.startswith("sqlite"):
        return create_engine(url)
    patience = {k: v for k, v in _PATIENCE.items() if k not in make_url(url).query}
    return create_engine(url, pool_pre_ping=True, connect_args=patience)


async def work(engine: Engine, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do a small piece of database work for a coroutine.

    On SQLite at once: it takes less than a millisecond, no longer than handing it to a thread
    and back. Any other database is a network away: `in_thread`.
    """
    if engine.dialect.name == "sqlite":
        return do(*args, **kwargs)
    return await in_thread(engine, do, *args, **kwargs)


async def in_thread(engine: Engine, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do database work of any length for a coroutine.

    The threads are the database's own: where it hangs, those that do other work are not used up.
    """
    return await _submitted(engine, do, *args, **kwargs)


async def work_to_its_end(
    engine: Engine, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """As `work`; it is done whole where whoever waits for it is cancelled, or the loop ends."""
    if engine.dialect.name == "sqlite":
        return do(*args, **kwargs)
    return await asyncio.shield(_submitted(engine, do, *args, **kwargs))


def _submitted(
    engine: Engine, do: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> asyncio.Future[T]:
    """No task: those are all cancelled when their loop ends."""
    threads = _threads.get(engine)
    if threads is None:
        threads = _threads[engine] = ThreadPoolExecutor(_MAX_THREADS, "database")
    there = partial(copy_context().run, do, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(threads, there)


class Look(Generic[T]):
    """A small read of a database that may hang: one is under way, however many want to know.

    Args:
        engine: Of the database.
        read: What is read of it.
    """

    def __init__(self, engine: Engine, read: Callable[[], T]) -> None:
        self.engine, self.read = engine, read
        self._looking: asyncio.Future[T] | None = None

    async def now(self) -> T:
        """What it gives.

        Raises:
            TimeoutError: Not within 1.5 s; the read goes on, and is the next one's too.
        """
        looking = self._looking
        if looking is None or looking.done():
            looking = self._looking = asyncio.ensure_future(work(self.engine, self.read))
            looking.add_done_callback(_seen)
        done, _ = await asyncio.wait({looking}, timeout=_LOOK_S)
        if not done:
            raise TimeoutError(f"the database does not answer in {_LOOK_S} s")
        return looking.result()


def _seen(looked: asyncio.Future[Any]) -> None:
    """An error that nobody waited for is no news."""
    if not looked.cancelled():
        looked.exception()


def database_fault(engine: Engine) -> str:
    """Why the database can serve nobody now, empty when it can."""
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT 1")
    except SQLAlchemyError as error:
        return f"the database does not answer: {type(error).__name__}"
    return ""


def checkpoint(engine: Engine) -> None:
    """Write SQLite's log back into its file (`_set_up_sqlite` leaves that to whoever calls this).

    Readers and writers go on meanwhile; what it waits for is the disk.
    """
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")


def writer_lock(engine: Engine) -> AbstractContextManager[object]:
    """What a thread of this process holds while it writes; nothing but for SQLite.

    A transaction of SQLAlchemy's takes it by itself (`_one_writer`).
    """
    return _writers.get(engine) or nullcontext()


def _one_writer(engine: Engine) -> None:
    """Let the threads of this process write to SQLite one after another.

    SQLite has one writer anyway; threads that find it busy sleep and look again, up to 100 ms
    apart. A lock from a transaction's first change to its end wakes the next one at once.
    """
    writing = _writers[engine] = threading.RLock()

    def begin(connection: Connection, _: object, statement: str, *__: object) -> None:
        if statement[:6].upper() in ("INSERT", "UPDATE", "DELETE"):
            held = connection.connection.record_info
            assert held is not None
            if not held.get(_WRITING):
                writing.acquire()
                held[_WRITING] = threading.get_ident()

    def end(_: object, record: ConnectionPoolEntry) -> None:
        if (record.record_info or {}).pop(_WRITING, None) == threading.get_ident():
            writing.release()

    event.listen(engine, "before_cursor_execute", begin)
    event.listen(engine, "checkin", end)


def _set_up_sqlite(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={_BUSY_MS}",
        "wal_autocheckpoint=20000",  # pages; before that, `checkpoint` does it off the path
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return repr(url.partition("://")[0])
