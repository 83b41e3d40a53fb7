"""A change of what people act on is found, from few rows none; answers are counted from turns."""

import json
import time
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from tastemaker.core.config import load_preset
from tastemaker.core.database import open_database
from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.data.dataset import load_dataset
from tastemaker.data.event_log import LiveEvent
from tastemaker.jobs import answer_quality, drift, drift_record, flow_drift
from tastemaker.jobs.answer_quality import Counts, of_turn
from tastemaker.jobs.drift_config import DriftConfig
from tastemaker.jobs.flow_config import FlowConfig
from tastemaker.promotion.environment import get_live
from tests.pipelines.flows.small_loop import NUM_ITEMS, make_home

RULES = DriftConfig(min_rows=40)
NOW_MS = int(time.time() * 1000)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home")


@pytest.fixture
def engine(home: Home) -> Engine:
    return open_database(home.database())


def act(engine: Engine, items: list[int], action: str = "save") -> None:
    """Events a minute apart, of many users, on the surface of the reference."""
    events = [
        LiveEvent(f"u{n % 50}", f"s{n % 25}", f"item-{item}", action, "feed", NOW_MS - n * 60_000)
        for n, item in enumerate(items)
    ]
    event_log.append(engine, events)


def compared(home: Home, engine: Engine) -> dict[str, bool]:
    live = get_live(home, "local", "recommender")
    found = drift.compare_events(
        load_dataset(home, live.dataset), live.space, engine, NOW_MS - 86_400_000, RULES
    )
    return {one.name.partition(" (")[0]: one.drifted for one in found}


def test_the_same_kind_of_events_is_no_drift(home: Home, engine: Engine) -> None:
    act(engine, [n % NUM_ITEMS for n in range(200)])
    found = compared(home, engine)
    assert not found["items"]
    assert not found["category"]
    assert not found["price"]


def test_other_items_and_other_actions_are_found(home: Home, engine: Engine) -> None:
    act(engine, [7] * 200, action="click")
    found = compared(home, engine)
    assert found["items"]
    assert found["category"]
    assert found["price"]
    assert found["action"]
    assert not found["surface"]


def test_few_events_give_no_verdict_however_different_they_are(home: Home, engine: Engine) -> None:
    act(engine, [7] * 30, action="click")
    assert not any(compared(home, engine).values())


def test_nothing_at_all_gives_no_verdict(home: Home, engine: Engine) -> None:
    assert not any(compared(home, engine).values())


def test_a_check_is_kept_and_reported(home: Home, engine: Engine) -> None:
    assert not drift_record.latest_drifted(home, "local")
    act(engine, [7] * 400, action="click")
    names = drift.run(home, engine, "local", RULES, "k1", now_ms=NOW_MS)
    assert "category" in names
    assert drift_record.latest_drifted(home, "local")
    page = (home.root / "drift" / "k1.html").read_text()
    assert "Drift in local" in page
    assert "category" in page


def test_a_flow_checks_once_for_a_state_of_the_log(
    home: Home, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_preset(FlowConfig, "flows", "tiny")
    keys: list[str] = []

    def run(home: Home, name: str, key: str, given: object, rule: object) -> dict[str, str]:
        keys.append(key)
        return {"names": "price", "report": "r.html"}

    monkeypatch.setattr(flow_drift.pipeline_run, "run", run)
    first = flow_drift.check(home, engine, config)
    assert first.record.result["drifted"]
    assert not flow_drift.check(home, engine, config).fresh
    act(engine, [1])
    assert flow_drift.check(home, engine, config).fresh
    assert len(set(keys)) == 2


def turn(**more: object) -> dict[str, object]:
    search = {"tool": "search_items", "num_items": 5}
    return {"status": "done", "items": [{}] * 5, "steps": [search], **more}


def test_a_turn_counts_for_what_it_was() -> None:
    assert of_turn(turn()) == Counts(turns=1, searched=1, shown=5)
    nothing = turn(items=[], steps=[{"tool": "recommend", "num_items": 0}])
    assert of_turn(nothing) == Counts(turns=1, searched=1, empty=1)
    mended = turn(steps=[{"tool": "malformed", "error": "no such tool"}, {"tool": "answer"}])
    assert of_turn(mended) == Counts(turns=1, faulty=1, shown=5)
    assert of_turn(turn(status="failed")).failed == 1
    assert of_turn(turn(status="cancelled")).left == 1


def test_answers_that_became_worse_are_found_and_those_that_were_always_bad_too() -> None:
    good = Counts(turns=1000, searched=1000, empty=20, shown=8000, saved=800)
    bad = Counts(turns=1000, failed=150, searched=1000, empty=400, shown=8000, saved=300)
    moved = {one.name for one in answer_quality.compare(bad, good, RULES) if one.drifted}
    assert moved == {
        "failed turns",
        "failed turns, at all",
        "searches without a result",
        "searches without a result, at all",
        "fall of saves an item shown",
    }
    assert not [one for one in answer_quality.compare(good, good, RULES) if one.drifted]
    still = {one.name for one in answer_quality.compare(bad, bad, RULES) if one.drifted}
    assert still == {"failed turns, at all", "searches without a result, at all"}


def test_windows_are_read_from_the_operational_database(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE IF EXISTS turns"))  # another test may have loaded it
        connection.execute(text("CREATE TABLE turns (turn_id TEXT, time_ms BIGINT, record TEXT)"))
        for when in (10, 20, 30):
            row = {"turn_id": str(when), "time_ms": when, "record": json.dumps(turn())}
            connection.execute(
                text("INSERT INTO turns VALUES (:turn_id, :time_ms, :record)"),
                row,
            )
    event_log.append(engine, [LiveEvent("u", "s", "i", "save", "assistant", 25)])
    assert answer_quality.count(engine, 0, 20) == Counts(turns=1, searched=1, shown=5)
    assert answer_quality.count(engine, 20, 31) == Counts(turns=2, searched=2, shown=10, saved=1)
