"""Flow runs of a Prefect server and the processes behind them.

A process that runs a flow holds a lock named by the flow run; the kernel lets go of it however
the process ends. So a run that the server takes for running and whose lock is free has crashed:
without being told, the server would show it as running for ever, and a concurrency limit of one
would keep the flow from ever running again.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from tastemaker.core.home import Home

API = "PREFECT_API_URL"
_FOLDER = ("run", "prefect", "runs")
_ACTIVE = ("RUNNING", "PENDING", "CANCELLING")
_TIMEOUT_S = 10.0
_NEW_S = 300.0  # a younger run may not have a process yet: interpreters start slowly


@contextmanager
def held(home: Home, flow_run: str) -> Iterator[None]:
    """Hold the lock of a flow run as long as its process works on it."""
    path = home.path(*_FOLDER, f"{flow_run}.lock")
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_alive(home: Home, flow_run: str) -> bool | None:
    """Whether some process of this machine holds a flow run; None: none ever did."""
    path = home.path(*_FOLDER, f"{flow_run}.lock")
    if not path.exists():
        return None
    with path.open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def mark_crashed(home: Home, *, now: datetime | None = None) -> list[str]:
    """Tell the server of runs whose process is gone; nothing to do where none is set.

    Runs that no process of this machine ever held are left alone while they are young, and for
    good where the server is not this machine's: their pods are Kubernetes' to watch.

    Returns:
        A line for each run.
    """
    url = os.environ.get(API, "")
    if not url:
        return []
    now = now or datetime.now(UTC)
    own = "//127.0.0.1" in url or "//localhost" in url
    told = []
    for run in _active(url):
        alive = is_alive(home, run["id"])
        lost = alive is False or (alive is None and own and _age_s(run, now) > _NEW_S)
        if lost and run["id"] != os.environ.get("PREFECT__FLOW_RUN_ID"):
            _crash(url, run["id"])
            home.path(*_FOLDER, f"{run['id']}.lock").unlink(missing_ok=True)
            told.append(f"flow run {run['name']} ({run['id']}): its process is gone; crashed")
    return told


def _active(url: str) -> list[dict[str, Any]]:
    import httpx

    wanted = {"flow_runs": {"state": {"type": {"any_": list(_ACTIVE)}}}, "limit": 200}
    answer = httpx.post(f"{url}/flow_runs/filter", json=wanted, timeout=_TIMEOUT_S)
    answer.raise_for_status()
    runs: list[dict[str, Any]] = answer.json()
    return runs


def _crash(url: str, flow_run: str) -> None:
    import httpx

    state = {"type": "CRASHED", "name": "Crashed", "message": "Its process is gone (swept)."}
    body = {"state": state, "force": True}
    answer = httpx.post(f"{url}/flow_runs/{flow_run}/set_state", json=body, timeout=_TIMEOUT_S)
    answer.raise_for_status()


def _age_s(run: dict[str, Any], now: datetime) -> float:
    began = datetime.fromisoformat(run["state"]["timestamp"])
    return (now - began).total_seconds()
