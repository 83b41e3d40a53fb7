"""What dead processes left is put right; what lives is left alone; a server is told."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tastemaker.core.home import Home
from tastemaker.jobs import flow_records, prefect_runs
from tastemaker.jobs.flow_records import FlowRecord
from tastemaker.jobs.sweep import sweep


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.delenv(prefect_runs.API, raising=False)
    return Home.open(str(tmp_path / "home"))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_record_of_a_dead_process_is_marked_and_one_that_ended_is_not(home: Home) -> None:
    flow_records.write(home, FlowRecord("learn", "lost", "running", attempts=1, pid=dead_pid()))
    flow_records.once(home, "learn", "well", lambda: {"a": 1}, deadline_s=60)
    (line,) = sweep(home)
    assert "learn lost" in line
    lost = flow_records.read(home, "learn", "lost")
    assert lost
    assert (lost.state, lost.error) == ("failed", "its process was killed")
    well = flow_records.read(home, "learn", "well")
    assert well
    assert well.state == "done"
    assert sweep(home) == []


def test_work_under_way_is_left_alone(home: Home) -> None:
    def work() -> dict[str, Any]:
        return {"swept": sweep(home)}

    assert flow_records.once(home, "learn", "k", work, deadline_s=60).record.result == {"swept": []}


def test_half_written_files_of_dead_processes_go_and_old_checkpoints_too(home: Home) -> None:
    half = home.path("datasets", f".d.yaml.{dead_pid()}")
    mine = home.path("datasets", f".e.yaml.{os.getpid()}")
    old, new = (home.path("checkpoints", name) for name in ("old.pt", "new.pt"))
    staged = home.path("tmp", f"{dead_pid()}-x", "bundle")
    for path in (half, mine, old, new, staged):
        path.write_text("x")
    for path in (half, mine, old):
        os.utime(path, (0, 0))
    sweep(home)
    assert not half.exists()
    assert not old.exists()
    assert not staged.exists()
    assert mine.exists()
    assert new.exists()


class PrefectApi(ThreadingHTTPServer):
    """Answers the two requests of the sweep as Prefect 3.8 does (see the slow test for it)."""

    def __init__(self, runs: list[dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.runs = runs
        self.told: dict[str, Any] = {}


class Handler(BaseHTTPRequestHandler):
    server: PrefectApi

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer: Any = self.server.runs
        if self.path.endswith("/set_state"):
            self.server.told[self.path.split("/")[-2]] = body
            answer = {"status": "ACCEPT"}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def prefect(runs: list[dict[str, Any]]) -> Iterator[PrefectApi]:
    server = PrefectApi(runs)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def flow_run(name: str, age_s: float) -> dict[str, Any]:
    began = datetime.now(UTC) - timedelta(seconds=age_s)
    return {"id": name, "name": name, "state": {"timestamp": began.isoformat()}}


def test_runs_whose_process_is_gone_are_told_to_the_server(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [flow_run(name, 1.0) for name in ("alive", "killed", "starting")]
    home.path("run", "prefect", "runs", "killed.lock").touch()  # nobody holds it
    with prefect([*runs, flow_run("never-begun", 3600.0)]) as server:
        monkeypatch.setenv(prefect_runs.API, f"http://127.0.0.1:{server.server_port}/api")
        with prefect_runs.held(home, "alive"):
            lines = sweep(home)
    assert set(server.told) == {"killed", "never-begun"}
    assert server.told["killed"]["state"]["type"] == "CRASHED"
    assert len(lines) == 2
