from pathlib import Path

import pyarrow as pa
import pytest
from sqlalchemy import Engine

from tastemaker.core.database import open_database
from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.data.all_events import all_events
from tastemaker.data.dataset import Dataset, write_table
from tastemaker.data.event_log import LiveEvent
from tastemaker.data.records import EVENTS

ROW = ("u1", "s0", "a", "save", "feed", 1000)


def new_dataset(home: Home, rows: list[tuple] | None) -> Dataset:
    tables = {"items": write_table(home, "items", pa.table({"item_id": ["a", "b"]}))}
    if rows is not None:
        columns = dict(zip(EVENTS.names, zip(*rows, strict=True), strict=True))
        tables["events"] = write_table(home, "events", pa.table(columns, schema=EVENTS))
    return Dataset(home=home, name="x", tables=tables)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return open_database(f"sqlite:///{tmp_path}/a.db")


def test_both_sources_each_event_once_by_user_and_time(tmp_path: Path, engine: Engine) -> None:
    dataset = new_dataset(Home(tmp_path), [ROW, ("u2", "s2", "b", "hide", "feed", 5)])
    same = LiveEvent(*ROW)
    unknown = LiveEvent("u1", "s1", "gone", "save", "assistant", 3000)
    nobody = LiveEvent(None, "s9", "b", "click", "assistant", 3000)
    new = LiveEvent("u1", "s1", "b", "save", "assistant", 500)
    event_log.append(engine, [same, new, new, unknown, nobody])
    found = all_events(dataset, engine)
    assert found.schema == EVENTS
    assert found["user_id"].to_pylist() == ["anonymous-s9", "u1", "u1", "u2"]
    assert found["item_id"].to_pylist() == ["b", "b", "a", "b"]


def test_forgotten_users_leave_with_all_that_was_before(tmp_path: Path, engine: Engine) -> None:
    dataset = new_dataset(Home(tmp_path), [ROW, ("u2", "s2", "b", "hide", "feed", 5)])
    event_log.forget_user(engine, "u1", now_ms=2000)
    event_log.append(engine, [LiveEvent("u1", "s7", "a", "save", "assistant", 2500)])
    found = all_events(dataset, engine)
    assert found["session_id"].to_pylist() == ["s7", "s2"]


def test_nothing_live_is_the_table_as_it_stands(tmp_path: Path, engine: Engine) -> None:
    dataset = new_dataset(Home(tmp_path), [("z", *ROW[1:]), ROW])
    assert all_events(dataset, engine).equals(dataset.read("events"))
    assert len(all_events(new_dataset(Home(tmp_path), None), engine)) == 0
