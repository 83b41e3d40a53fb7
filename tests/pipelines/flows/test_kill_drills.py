"""SIGKILL of a flow and of the pipeline under it: a restart completes, and promotes once."""

import os
import signal
import subprocess

import pytest

from tastemaker.core.home import Home
from tastemaker.jobs import flow_records
from tastemaker.promotion.environment import get_pins
from tests.pipelines.flows.small_loop import (
    add_events,
    calls,
    num_promotions,
    run_flow,
    wait_until,
)

pytestmark = pytest.mark.slow


def ended(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=120)
    return output


def finished(environment: dict[str, str]) -> str:
    process = run_flow("learn", environment)
    output = ended(process)
    assert process.returncode == 0, output
    return output


def test_the_loop_goes_from_new_events_to_one_canary_and_then_has_nothing_to_do(
    home: Home, environment: dict[str, str]
) -> None:
    add_events(home, 20)
    output = finished(environment)
    assert "due: +20 events" in output
    assert calls(home) == ["ingest", "train", "gate"]
    canary = get_pins(home, "local", "recommender").canary
    assert canary
    assert canary.weight == 10
    output = finished(environment)
    assert "done before; nothing to do" in output
    assert "a canary of recommender is being judged" in output
    assert num_promotions(home) == 1
    assert calls(home) == ["ingest", "train", "gate"]


def test_a_flow_killed_in_every_step_takes_the_step_along_and_goes_on_from_there(
    home: Home, environment: dict[str, str]
) -> None:
    add_events(home, 20)
    for step in ("ingest", "train", "gate"):
        (home.root / f"hold-{step}").touch()
        flow = run_flow("learn", environment)
        wait_until(lambda at=step: (home.root / f"held-{at}").exists(), f"{step} under way")
        below = int((home.root / f"held-{step}").read_text())
        os.kill(flow.pid, signal.SIGKILL)
        flow.wait()
        wait_until(lambda pid=below: not os.path.exists(f"/proc/{pid}"), "its step ended too")
        (home.root / f"hold-{step}").unlink()
    finished(environment)
    assert calls(home) == ["ingest", "ingest", "train", "train", "gate", "gate"]
    assert num_promotions(home) == 1


def test_a_step_killed_under_a_flow_is_reported_and_the_next_run_completes(
    home: Home, environment: dict[str, str]
) -> None:
    add_events(home, 20)
    (home.root / "hold-train").touch()
    flow = run_flow("learn", environment)
    wait_until(lambda: (home.root / "held-train").exists(), "train under way")
    beside = run_flow("learn", environment)
    assert "under way" in ended(beside)
    assert beside.returncode == 0
    os.kill(int((home.root / "held-train").read_text()), signal.SIGKILL)
    output = ended(flow)
    assert flow.returncode == 2
    assert "the pipeline stopped" in output
    (record,) = flow_records.records(home, "retrain")
    assert record.state == "failed"
    (home.root / "hold-train").unlink()
    finished(environment)
    assert num_promotions(home) == 1
