import asyncio
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, inspect, text

from tastemaker.core import database
from tastemaker.core.database import open_database, work_to_its_end
from tastemaker.core.errors import ConfigError


def test_a_committed_row_is_there_for_the_next_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/a.db"
    with open_database(url).begin() as connection:
        connection.execute(text("create table t (x int)"))
        connection.execute(text("insert into t values (7)"))
    with open_database(url).connect() as connection:
        assert connection.execute(text("select x from t")).scalar_one() == 7
        assert connection.execute(text("pragma journal_mode")).scalar_one() == "wal"


def test_a_wrong_url_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_database("no url")
    for kind in ("nosuch", "mysql"):
        with pytest.raises(ConfigError, match=f"'{kind}': one of sqlite, postgresql") as caught:
            open_database(f"{kind}://me:hunter2@host/db")
        assert "hunter2" not in str(caught.value)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError, match=r"file/a\.db"):
        open_database(f"sqlite:///{blocked}/a.db")


def test_a_postgres_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"postgresql+psycopg://me:hunter2@127.0.0.1:{silent.getsockname()[1]}/db"
        for url in (f"{address}?connect_timeout=2", address):
            began_s = time.monotonic()
            with pytest.raises(ConfigError, match="timeout expired") as caught:
                open_database(url)
            assert 1.5 < time.monotonic() - began_s < 4.5
            assert not any(word in str(caught.value) for word in ("hunter2", "sqlalche.me"))
            monkeypatch.setitem(database._PATIENCE, "connect_timeout", 2)


def test_threads_write_one_after_another_and_none_waits_long(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path}/a.db")
    with engine.begin() as connection:
        connection.execute(text("create table t (x int)"))

    def write(number: int) -> None:
        for value in range(25):
            with engine.begin() as connection:
                connection.execute(text("insert into t values (:x)"), {"x": number * 100 + value})
                connection.execute(text("update t set x = x where x = -1"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
        failed = pool.submit(_broken_off, engine)
        with pytest.raises(ZeroDivisionError):
            failed.result()
        pool.submit(write, 9).result(timeout=5)  # the one that broke off let go
    with engine.connect() as connection:
        assert connection.execute(text("select count(*) from t")).scalar_one() == 225
    engine.dispose()


def _broken_off(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("insert into t values (1)"))
        raise ZeroDivisionError


def test_an_index_that_came_later_is_made_in_an_older_database(tmp_path: Path) -> None:
    from tastemaker.assistant import conversation_tables

    url = f"sqlite:///{tmp_path}/a.db"
    name = "turns_by_time"
    assert name in {index.name for index in conversation_tables.turns_table.indexes}
    with open_database(url).begin() as connection:
        connection.execute(text(f"drop index {name}"))
    found = inspect(open_database(url)).get_indexes("turns")
    assert name in {index["name"] for index in found}


@pytest.fixture
def nowhere() -> Engine:
    """Of a database a network away; what is done in these tests asks nothing of it."""
    return create_engine("postgresql+psycopg://nobody@nowhere/none")


def test_what_is_done_to_its_end_outlives_its_loop(nowhere: Engine) -> None:
    done: list[int] = []

    def store(number: int) -> None:
        time.sleep(0.05)
        done.append(number)

    async def left() -> None:
        many = range(40)  # more than there are threads
        under_way = [asyncio.ensure_future(work_to_its_end(nowhere, store, n)) for n in many]
        await asyncio.sleep(0.02)
        assert not any(one.done() for one in under_way)

    asyncio.run(left())
    assert len(done) < 40
    database._threads[nowhere].shutdown(wait=True)
    assert sorted(done) == list(range(40))


def test_looks_that_overlap_all_see_something(nowhere: Engine) -> None:
    def read() -> int:
        time.sleep(0.001)
        return 7

    async def many() -> list[int]:
        look = database.Look(nowhere, read)

        async def one(number: int) -> int:
            await asyncio.sleep(number / 2000)
            return await look.now()

        return await asyncio.gather(*(one(number) for number in range(1000)))

    assert asyncio.run(many()) == [7] * 1000


def test_a_look_that_hangs_is_one_look(nowhere: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_LOOK_S", 0.05)
    begun, go_on = list[int](), threading.Event()

    def read() -> int:
        begun.append(1)
        go_on.wait(10)
        raise ConnectionError("gone")

    async def ask() -> None:
        look = database.Look(nowhere, read)
        for _ in range(3):
            with pytest.raises(TimeoutError, match=r"does not answer in 0\.05 s"):
                await look.now()
        go_on.set()
        with pytest.raises(ConnectionError):
            await look.now()

    asyncio.run(ask())
    assert len(begun) == 1
