"""The operational database: conversations, boards, live events, keys, the ledger.

What changes by the second lives here; what is trained on lives in dataset versions. One SQLite
file in the home by default, any SQLAlchemy URL by configuration. A module that owns a concept
declares its tables on `metadata`; opening the database creates those that are missing.
"""

from pathlib import Path

from sqlalchemy import Engine, MetaData, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from tastemaker.core.errors import ConfigError

metadata = MetaData()
_BUSY_MS = 10_000


def open_database(url: str) -> Engine:
    """Open a database and create what is missing in it.

    Args:
        url: For example `sqlite:////home/run/assistant.db` or `postgresql+psycopg://...`.

    Returns:
        An engine; safe to use from several threads. SQLite writes ahead (WAL), so readers never
        wait for a writer, and a killed process loses no committed row.

    Raises:
        ConfigError: A URL that is none, or a database that cannot be opened.
    """
    try:
        engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if engine.dialect.name == "sqlite":
            if file := make_url(url).database:
                Path(file).parent.mkdir(parents=True, exist_ok=True)
            event.listen(engine, "connect", _set_up_sqlite)
        metadata.create_all(engine)
    except (SQLAlchemyError, OSError, ImportError) as error:
        raise ConfigError(f"database {_without_password(url)} cannot be opened: {error}") from None
    return engine


def _set_up_sqlite(connection: object, _: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined]
    for pragma in (
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        f"busy_timeout={_BUSY_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except SQLAlchemyError:
        return repr(url.partition("://")[0])
