"""A key is done once: by one process at a time, again after a kill, not for ever."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tastemaker.core.errors import DataError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.jobs import flow_records
from tastemaker.jobs.flow_records import once

LIMITS = {"deadline_s": 60.0}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(str(tmp_path / "home"))


def test_a_second_run_does_nothing_says_so_and_knows_the_result(home: Home) -> None:
    calls = []

    def work() -> dict[str, str]:
        calls.append(1)
        return {"dataset": "d1"}

    first, second = (once(home, "ingest", "k", work, **LIMITS) for _ in range(2))
    assert first.fresh
    assert not second.fresh
    assert second.done
    assert second.record.result == {"dataset": "d1"}
    assert "nothing to do" in second.text
    assert len(calls) == 1
    assert once(home, "ingest", "other", work, **LIMITS).fresh


def test_a_failure_is_tried_again_but_not_for_ever(home: Home) -> None:
    def work() -> dict[str, str]:
        raise DataError("items.csv is broken")

    for _ in range(3):
        with pytest.raises(DataError):
            once(home, "ingest", "k", work, **LIMITS)
    with pytest.raises(TastemakerError, match=r"3 times .*items.csv is broken.*--again"):
        once(home, "ingest", "k", lambda: {"a": 1}, **LIMITS)
    assert once(home, "ingest", "k", lambda: {"a": 1}, again=True, **LIMITS).done


def held_by_another(home: Home, folder: Path) -> subprocess.Popen[bytes]:
    """A process in the middle of the work of key `k`."""
    begun = folder / "begun"
    code = (
        "import sys, time, pathlib\n"
        "from tastemaker.core.home import Home\n"
        "from tastemaker.jobs.flow_records import once\n"
        "def work():\n"
        "    pathlib.Path(sys.argv[2]).touch(); time.sleep(600); return {}\n"
        "once(Home.open(sys.argv[1]), 'learn', 'k', work, deadline_s=60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, home.location, str(begun)])
    while not begun.exists():
        assert process.poll() is None
        time.sleep(0.02)
    return process


def test_work_under_way_is_left_alone_and_work_of_a_killed_process_is_taken_up(
    home: Home, tmp_path: Path
) -> None:
    process = held_by_another(home, tmp_path)
    waits = once(home, "learn", "k", lambda: {"a": 1}, **LIMITS)
    assert not waits.fresh
    assert not waits.done
    assert f"process {process.pid}" in waits.text
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    record = flow_records.read(home, "learn", "k")
    assert record
    assert record.state == "running"
    assert not flow_records.is_under_way(home, record)
    taken_up = once(home, "learn", "k", lambda: {"a": 1}, **LIMITS)
    assert taken_up.fresh
    assert taken_up.record.attempts == 2


def test_an_attempt_on_another_machine_counts_until_its_deadline(home: Home) -> None:
    once(home, "learn", "k", lambda: {}, **LIMITS)
    record = flow_records.read(home, "learn", "k")
    assert record
    now_ms = int(time.time() * 1000)
    away = replace(record, state="running", host="elsewhere", until_ms=now_ms + 60_000)
    flow_records.write(home, away)
    assert not once(home, "learn", "k", lambda: {}, **LIMITS).done
    flow_records.write(home, replace(away, until_ms=now_ms - 1))
    assert once(home, "learn", "k", lambda: {}, **LIMITS).fresh


def test_keys_are_of_content() -> None:
    assert flow_records.key_of("a", {"x": 1, "y": 2}) == flow_records.key_of("a", {"y": 2, "x": 1})
    assert flow_records.key_of("a", 1) != flow_records.key_of("a", 2)
