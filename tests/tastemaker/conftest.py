"""The databases that operational state is kept in: tests of a store run on each."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from tastemaker.core.database import open_database


class Postgres:
    """A Postgres of the tests' own, on a socket in a folder.

    Args:
        pg_ctl: The command.
        folder: Its own.
    """

    def __init__(self, pg_ctl: str, folder: Path) -> None:
        root = os.geteuid() == 0  # as which it refuses to run
        self._as: dict[str, Any] = {"user": "postgres", "group": "postgres"} if root else {}
        self._pg_ctl, self.folder = pg_ctl, folder
        self.url = f"postgresql+psycopg://postgres@/postgres?host={folder}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if root:
            shutil.chown(folder, "postgres")
        self._run("init", "-o", "--username=postgres")

    def start(self) -> None:
        """Start it, and wait until it serves."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        self._run("start", "-w", "-o", options, "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """Stop it as a crash would."""
        self._run("stop", "-m", "immediate")

    def freeze(self) -> None:
        """Let it hang: connections stay open, and nobody answers."""
        for pid in self._pids():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in reversed(self._pids()):
            os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        top = (self.folder / "data" / "postmaster.pid").read_text().split()[0]
        below = Path(f"/proc/{top}/task/{top}/children").read_text().split()
        return [int(top), *map(int, below)]

    def _run(self, *words: str) -> None:
        data = str(self.folder / "data")
        command = [self._pg_ctl, words[0], "-s", "-D", data, *words[1:]]
        subprocess.run(command, check=True, cwd=self.folder, **self._as)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A running Postgres; skips where none is installed."""
    debians = (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")))
    pg_ctl = shutil.which("pg_ctl") or max(debians, default=None)
    if pg_ctl is None:
        assert not os.environ.get("CI"), "CI must have Postgres"
        pytest.skip("no Postgres on this machine")
    # the path of a socket has to be short
    server = Postgres(pg_ctl, Path("/tmp") / f"pg-{tmp_path_factory.getbasetemp().name}")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(server.folder)


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The address of an empty Postgres."""
    engine = create_engine(postgres.url)
    with engine.begin() as connection:
        connection.execute(text("drop schema public cascade"))
        connection.execute(text("create schema public"))
    engine.dispose()
    return postgres.url


@pytest.fixture(params=["sqlite", "postgres"])
def each_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty operational database, of each kind in turn."""
    url = f"sqlite:///{tmp_path}/a.db"
    if request.param == "postgres":
        url = request.getfixturevalue("postgres_url")
    opened = open_database(url)
    yield opened
    opened.dispose()
