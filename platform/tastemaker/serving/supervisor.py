"""Start, watch and stop every server of an environment on one machine.

`up` writes run/services.json and starts one background process, the supervisor, which starts the
servers, restarts one that crashes and keeps run/supervisor.json current. Nothing outlives it: the
kernel kills the servers of a killed supervisor, and `down` (like the next `up`) sweeps what is
marked as this home's.
"""

import argparse
import fcntl
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from tastemaker.core.errors import ServiceError, TastemakerError
from tastemaker.core.home import Home, write_text
from tastemaker.serving import processes
from tastemaker.serving.processes import Identity
from tastemaker.serving.services import Service, base_environment, services
from tastemaker.serving.watch import Watch, is_healthy

START_TIMEOUT_S = 400.0  # vLLM takes 20 s on free cores, minutes on busy ones
STOP_TIMEOUT_S = 30.0
_LOG_LINES = 15


def up(
    home: Home,
    environment: str = "local",
    port: int = 8400,
    background: bool = True,
    settings: str = "",
) -> None:
    """Start every server and wait until all are healthy; progress goes to stderr.

    Does nothing where the same bundles are served already; restarts all where they changed.

    Args:
        home: Where the bundles lie.
        environment: Whose live bundles.
        port: The gateway's; the servers take the four after it.
        background: False stays until Ctrl-C, then stops all.
        settings: The gateway's configuration as JSON; empty: its default preset.

    Raises:
        NotFound: Nothing is live in that environment.
        ServiceError: A port is taken, or a server did not start; then nothing is left running.
    """
    wanted = services(home, environment, port, settings)
    if not background:
        _say(f"the assistant will be at http://127.0.0.1:{port}; Ctrl-C stops it")
    run(home, wanted, background=background)
    if background:
        _say(f"the assistant is at http://127.0.0.1:{port}")


def run(
    home: Home,
    wanted: Sequence[Service],
    *,
    background: bool = True,
    timeout_s: float = START_TIMEOUT_S,
) -> None:
    """`up` for any services.

    Args:
        home: Keeps their logs and state in run/.
        wanted: What to run.
        background: As for `up`.
        timeout_s: Longest wait until all are healthy.

    Raises:
        ServiceError: As for `up`.
    """
    running = _supervisor(home)
    if running and _same(home, wanted):
        _follow(home, running.pid, running.alive)  # another `up` may still be at work
        if all(is_healthy(service) for service in wanted):
            _say("already up, with the same bundles")
            return
    down(home)
    for service in wanted:
        if holder := processes.port_holder(service.port):
            raise ServiceError(
                f"port {service.port}, which {service.name} needs, is in use by {holder}; "
                "stop that process or choose another --port"
            )
    write_text(_path(home, "services"), json.dumps([asdict(s) for s in wanted], indent=1))
    if background:
        _start_in_background(home, timeout_s)
    else:
        _supervise(home, timeout_s, tell=_say)


def down(home: Home) -> bool:
    """Stop the supervisor and all servers of a home.

    Returns:
        False where nothing was running.
    """
    leader = _supervisor(home)
    if leader:
        processes.send(leader, signal.SIGTERM)
        until = time.monotonic() + STOP_TIMEOUT_S
        while leader.alive() and time.monotonic() < until:
            time.sleep(0.05)
        processes.stop([leader], grace_s=0)
    left = processes.marked_members(home.root)
    processes.stop(left, grace_s=5.0)
    _path(home, "supervisor").unlink(missing_ok=True)
    return bool(leader or left)


def status(home: Home) -> str:
    """What runs, one line a server."""
    state = _state(home)
    if _supervisor(home) is None:
        return "not running"
    lines = [f"{'server':<12} {'state':<10} {'port':>6} {'pid':>8} {'restarts':>8}"]
    for name, server in state["processes"].items():
        row = f"{name:<12} {server['state']:<10} {server['port']:>6} {server['pid']:>8}"
        lines.append(f"{row} {server['restarts']:>8}")
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(state["started"]))
    return "\n".join([*lines, f"supervisor pid {state['pid']}, since {since}"])


def _supervise(home: Home, timeout_s: float, *, tell: Callable[[str], None]) -> None:
    """Start and watch the services of run/services.json until told to stop."""
    wanted = [Service(**{**s, "command": tuple(s["command"])}) for s in _read(home, "services")]
    with _path(home, "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(f"another `up` is at work on {home.root}; wait for it") from None
        watch = Watch(home, wanted, base_environment(home), state=_path(home, "supervisor"))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, watch.ask_to_stop)
        watch.run(timeout_s, tell=tell)


def _start_in_background(home: Home, timeout_s: float) -> None:
    log = home.path("run", "logs", "supervisor.log")
    command = [sys.executable, "-m", "tastemaker.serving.supervisor", "--home", str(home.root)]
    command += ["--timeout-s", str(timeout_s)]
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            command,
            env=base_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        state = _follow(home, supervisor.pid, lambda: supervisor.poll() is None)
        if supervisor.poll() is not None:
            raise ServiceError(_reason(home, log.read_text(errors="replace"), state))
    except BaseException:  # Ctrl-C too: nothing half-started stays
        if supervisor.poll() is None:
            supervisor.terminate()
            try:
                supervisor.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                supervisor.kill()
        processes.stop(processes.marked_members(home.root), grace_s=5.0)
        _path(home, "supervisor").unlink(missing_ok=True)
        raise


def _follow(home: Home, pid: int, alive: Callable[[], bool]) -> dict[str, Any]:
    """Say what a supervisor does until all is ready or it ends; returns its last state."""
    told = dict[str, str]()
    begun = time.monotonic()
    state: dict[str, Any] = {}
    while True:
        running = alive()
        if (found := _state(home)).get("pid") == pid:
            state = found
        for name, server in state.get("processes", {}).items():
            if told.get(name, "starting") != server["state"]:
                _say(f"{name}: {server['state']} after {time.monotonic() - begun:.0f} s")
            told[name] = server["state"]
        if not running or state.get("state") == "ready":
            return state
        time.sleep(0.1)


def _reason(home: Home, log: str, state: dict[str, Any]) -> str:
    errors = [line for line in log.splitlines() if line.startswith("error: ")]
    said = errors[-1].removeprefix("error: ") if errors else f"the supervisor ended: {log[-500:]}"
    failed = state.get("failed")
    if not failed:
        return said
    path = home.path("run", "logs", f"{failed}.log")
    lines = path.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join([said, f"last lines of {path}:", *(f"  {line[:300]}" for line in lines)])


def _supervisor(home: Home) -> Identity | None:
    """The live supervisor of a home."""
    state = _state(home)
    who = Identity(state["pid"], state["pid_started"]) if state else None
    return who if who and who.alive() else None


def _same(home: Home, wanted: Sequence[Service]) -> bool:
    asked = json.loads(json.dumps([asdict(service) for service in wanted]))
    return bool(_read(home, "services") == asked)


def _state(home: Home) -> dict[str, Any]:
    return dict(_read(home, "supervisor") or {})


def _read(home: Home, name: str) -> Any:
    try:
        return json.loads(_path(home, name).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None


def _path(home: Home, name: str) -> Any:
    names = {"lock": "supervisor.lock"}
    return home.path("run", names.get(name, f"{name}.json"))


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def main() -> None:
    """The supervisor process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True)
    parser.add_argument("--timeout-s", type=float, default=START_TIMEOUT_S)
    arguments = parser.parse_args()
    try:
        _supervise(Home.open(arguments.home), arguments.timeout_s, tell=_say)
    except TastemakerError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
