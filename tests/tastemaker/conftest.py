"""The databases that operational state is kept in: tests of a store run on each."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tastemaker.core.database import open_database


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Postgres of the tests' own, on a socket; skips where none is installed."""
    debians = (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")))
    pg_ctl = shutil.which("pg_ctl") or max(debians, default=None)
    if pg_ctl is None:
        assert not os.environ.get("CI"), "CI must have Postgres"
        pytest.skip("no Postgres on this machine")
    root = os.geteuid() == 0
    as_postgres = ["runuser", "-u", "postgres", "--"] if root else []  # it refuses to run as root
    folder = Path("/tmp") / f"pg-{tmp_path_factory.getbasetemp().name}"  # a socket's path is short
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    data, options = (
        str(folder / "data"),
        f"-c listen_addresses='' -c unix_socket_directories={folder}",
    )
    init = ["init", "-s", "-D", data, "-o", "--username=postgres"]
    start = ["start", "-w", "-s", "-D", data, "-o", options, "-l", str(folder / "log")]
    if root:
        shutil.chown(folder, "postgres")
    for words in (init, start):
        subprocess.run([*as_postgres, pg_ctl, *words], check=True)
    yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
    subprocess.run([*as_postgres, pg_ctl, "stop", "-s", "-m", "immediate", "-D", data])
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty operational database, of each kind in turn."""
    if request.param == "sqlite":
        opened = open_database(f"sqlite:///{tmp_path}/a.db")
    else:
        url = request.getfixturevalue("postgres")
        opened = open_database(url)
        with opened.begin() as connection:
            connection.execute(text("drop schema public cascade"))
            connection.execute(text("create schema public"))
        opened.dispose()
        opened = open_database(url)
    yield opened
    opened.dispose()
