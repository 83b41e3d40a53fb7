"""A real Prefect server: by the clock, by events, and after both it and a flow were killed."""

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tastemaker.core.home import Home
from tastemaker.core.lifetime import OWNER
from tastemaker.jobs import prefect_runs
from tastemaker.serving import flow_events, flow_server
from tastemaker.serving.flow_server import FLOWS, SERVER, Running
from tests.pipelines.flows.small_loop import (
    ROOT,
    add_events,
    calls,
    num_promotions,
    wait_until,
)

pytestmark = pytest.mark.slow
SERVE = (sys.executable, "-m", "tests.pipelines.flows.serve_small")


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def served(
    home: Home, cheap: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Running]:
    monkeypatch.setenv("TASTEMAKER_PIPELINES", str(cheap))
    monkeypatch.setenv("TASTEMAKER_ROOT", str(ROOT))
    try:
        yield up(home, port)
    finally:
        flow_server.down(home)


def up(home: Home, port: int) -> Running:
    return flow_server.up(home, port=port, preset="tiny", serve=SERVE)


def states(running: Running, flow: str) -> list[str]:
    """States of a flow's runs, newest first."""
    runs = flow_server.flow_runs(running, limit=100)
    return [run["state"] for run in runs if run["flow"] == flow]


def running(served: Running, *flows: str) -> list[str]:
    """Ids of the runs of some flows that the server takes for running."""
    state = {"state": {"type": {"any_": ["RUNNING"]}}}
    wanted = {"flows": {"name": {"any_": list(flows)}}, "flow_runs": state}
    answer = httpx.post(f"{served.api}/flow_runs/filter", json=wanted, timeout=10.0)
    return [run["id"] for run in answer.json()]


def owner(step: int) -> int:
    """Process of the flow that runs a step."""
    variables = Path(f"/proc/{step}/environ").read_bytes().split(b"\0")
    (found,) = (text for text in variables if text.startswith(f"{OWNER}=".encode()))
    return int(found.partition(b"=")[2])


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_schedules_and_events_start_flows_and_a_killed_loop_goes_on(
    home: Home, served: Running, port: int
) -> None:
    wait_until(lambda: "Completed" in states(served, "sweep"), "a schedule fires")
    add_events(home, 20)
    (home.root / "hold-train").touch()
    flow_events.tell(served.api, "new-events", "local")
    wait_until(lambda: "Completed" in states(served, "ingest_and_curate"), "an event starts a flow")
    wait_until((home.root / "held-train").exists, "what that flow tells starts the next")
    step = int((home.root / "held-train").read_text())
    flow = owner(step)
    under_way = running(served, "learn", "retrain")
    assert len(under_way) == 2
    assert all(prefect_runs.is_alive(home, run) for run in under_way)  # no sweep takes them

    kill(served.processes[SERVER].pid)
    kill(flow)
    wait_until(lambda: not Path(f"/proc/{step}").exists(), "the step ends with its flow")
    (home.root / "hold-train").unlink()
    again = up(home, port)
    assert again.alive(SERVER)
    assert again.alive(FLOWS)
    assert "Crashed" in states(again, "learn")  # nobody had told the server that was killed
    flow_events.tell(again.api, "drift-found", "local")
    wait_until(lambda: states(again, "learn")[0] == "Completed", "the loop goes on")
    assert num_promotions(home) == 1
    assert calls(home) == ["ingest", "train", "train", "gate"]

    members = list(again.processes.values())
    assert flow_server.down(home)
    assert not any(one.alive() for one in members)
    assert not flow_server.down(home)
