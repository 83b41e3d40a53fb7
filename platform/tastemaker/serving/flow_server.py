"""One local Prefect server and the process that serves the flows: start, ask, stop.

Both are background processes of a home, apart from its model servers: `tastemaker down` leaves
them alone. The server keeps its database below `run/prefect/`, answers on loopback only, tells
nobody of its use and fetches no web page.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import httpx

from tastemaker.core.errors import ServiceError
from tastemaker.core.home import Home
from tastemaker.deployment import root
from tastemaker.serving import processes
from tastemaker.serving.processes import Identity

START_S = 240.0  # 20 s on free cores
_STOP_S = 10.0
_POLL_S = 0.3
_STATE = ("run", "prefect", "processes.json")
SERVER, FLOWS = "server", "flows"


@dataclass(frozen=True)
class Running:
    """What was started.

    Attributes:
        port: Of the server.
        preset: Of the loop.
        processes: Leader of each part's session.
    """

    port: int
    preset: str
    processes: Mapping[str, Identity]

    @property
    def api(self) -> str:
        """What PREFECT_API_URL must be."""
        return f"http://127.0.0.1:{self.port}/api"

    def alive(self, part: str) -> bool:
        """Whether a part runs."""
        return part in self.processes and self.processes[part].alive()


def up(home: Home, *, port: int, preset: str, serve: Sequence[str] = ()) -> Running:
    """Start what does not run yet: the server, then the flows; wait until both do.

    Args:
        home: Whose.
        port: Of the server, on 127.0.0.1.
        preset: Of the loop.
        serve: Command of the process that serves; empty: all flows.

    Raises:
        ServiceError: The port is taken, or one did not start; its log is named.
    """
    with _one_at_a_time(home):
        before = read(home)
        if before and (before.port, before.preset) != (port, preset):
            _stop(before)
            before = None
        found = dict(before.processes) if before else {}
        now = Running(port, preset, found)
        if not now.alive(SERVER):
            _stop_part(now, FLOWS)  # it would register with a server that is gone
            now = _started(home, now, SERVER, _server_command(port))
            _wait_for_server(home, now)
        if not now.alive(FLOWS):
            command = [sys.executable, "-m", "pipelines.flows.serve", "--preset", preset]
            now = _started(home, now, FLOWS, serve or command)
            _wait_for_flows(home, now)
        return now


def down(home: Home) -> bool:
    """Stop both, and the flow runs under way; False where nothing ran."""
    with _one_at_a_time(home):
        found = read(home)
        if found is None:
            return False
        ran = any(found.alive(part) for part in (SERVER, FLOWS))
        _stop(found)
        home.path(*_STATE).unlink(missing_ok=True)
        return ran


def read(home: Home) -> Running | None:
    """What was started and not stopped; its processes may have ended."""
    path = home.root.joinpath(*_STATE)
    if not path.is_file():
        return None
    content = json.loads(path.read_text())
    found = {part: Identity(**who) for part, who in content.pop("processes").items()}
    return Running(**content, processes=found)


def environment(home: Home, port: int) -> dict[str, str]:
    """Variables of everything that talks to the local server."""
    folder = home.path("run", "prefect", "x").parent
    here = str(root.find("pipelines/flows").parents[1])
    before = os.environ.get("PYTHONPATH", "")
    return {
        **os.environ,
        "PREFECT_HOME": str(folder),
        "PREFECT_PROFILES_PATH": str(folder / "profiles.toml"),  # not the user's own
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
        "DO_NOT_TRACK": "1",
        "TASTEMAKER_HOME": home.location,
        "PYTHONPATH": f"{here}{os.pathsep}{before}" if before else here,
    }


def flow_runs(running: Running, limit: int = 10) -> list[dict[str, str]]:
    """The latest flow runs: flow, state, when.

    Raises:
        ServiceError: The server does not answer.
    """
    wanted = {"sort": "EXPECTED_START_TIME_DESC", "limit": limit}
    wanted["flow_runs"] = {"state": {"type": {"not_any_": ["SCHEDULED"]}}}  # type: ignore[assignment]
    try:
        runs = httpx.post(f"{running.api}/flow_runs/filter", json=wanted, timeout=10.0)
        flows = httpx.post(f"{running.api}/flows/filter", json={}, timeout=10.0)
        runs.raise_for_status()
        flows.raise_for_status()
    except httpx.HTTPError as error:
        raise ServiceError(
            f"the Prefect server at {running.api} does not answer: {error}"
        ) from None
    names = {flow["id"]: flow["name"] for flow in flows.json()}
    return [
        {
            "flow": names.get(run["flow_id"], "?"),
            "state": run["state_name"],
            "began": (run["start_time"] or run["expected_start_time"] or "")[:19],
            "run": run["name"],
        }
        for run in runs.json()
    ]


def _server_command(port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "prefect", "server", "start"),
        *("--host", "127.0.0.1", "--port", str(port), "--no-ui"),
    ]


def _started(home: Home, now: Running, part: str, command: Sequence[str]) -> Running:
    if part == SERVER and (holder := processes.port_holder(now.port)):
        raise ServiceError(f"port {now.port} is taken by {holder}; choose another with --port")
    log = home.path("run", "logs", f"prefect-{part}.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            env=environment(home, now.port),
            cwd=root.find("pipelines/flows").parents[1],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    who = processes.identity(process.pid)
    if who is None:
        raise ServiceError(f"{part} ended at once; its log: {log}")
    made = Running(now.port, now.preset, {**now.processes, part: who})
    home_state = home.path(*_STATE)
    content = {**asdict(made), "processes": {p: asdict(i) for p, i in made.processes.items()}}
    staged = home_state.with_name(f".{home_state.name}.{os.getpid()}")
    staged.write_text(json.dumps(content))
    staged.replace(home_state)
    return made


def _wait_for_server(home: Home, now: Running) -> None:
    def healthy() -> bool:
        try:
            return httpx.get(f"{now.api}/health", timeout=5.0).status_code == 200
        except httpx.HTTPError:
            return False

    _wait(home, now, SERVER, healthy)


def _wait_for_flows(home: Home, now: Running) -> None:
    """Deployments are registered anew at each start; the last line of the log says so."""
    log = home.path("run", "logs", f"prefect-{FLOWS}.log")
    _wait(home, now, FLOWS, lambda: "being served and polling" in log.read_text(errors="replace"))


def _wait(home: Home, now: Running, part: str, ready: Callable[[], bool]) -> None:
    until = time.monotonic() + START_S
    log = home.path("run", "logs", f"prefect-{part}.log")
    while not ready():
        if not now.alive(part):
            last = (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise ServiceError(f"the Prefect {part} process ended: {last} (log: {log})")
        if time.monotonic() > until:
            raise ServiceError(f"the Prefect {part} process is not ready after {START_S:.0f} s")
        time.sleep(_POLL_S)


def _stop(found: Running) -> None:
    for part in (FLOWS, SERVER):
        _stop_part(found, part)


def _stop_part(found: Running, part: str) -> None:
    """The whole session: a leader that was killed leaves children."""
    if part in found.processes:
        members = processes.session_members(found.processes[part].pid)
        processes.stop([found.processes[part], *members], grace_s=_STOP_S)


@contextmanager
def _one_at_a_time(home: Home) -> Iterator[None]:
    with home.path("run", "prefect", "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError("another `flows up` or `flows down` is at work; wait") from None
        yield
