"""`tastemaker up`, `down` and `status`: start the reconciler, ask it for something, stop it."""

import fcntl
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tastemaker.core.errors import GitError, ServiceError
from tastemaker.core.home import Home
from tastemaker.promotion import checkout, repository
from tastemaker.serving import processes, state
from tastemaker.serving.asked import Asked
from tastemaker.serving.model_services import ports, services
from tastemaker.serving.processes import Identity
from tastemaker.serving.services import base_environment, variables_digest
from tastemaker.serving.supervise import supervise

STOP_TIMEOUT_S = 40.0
_LOG_LINES = 15
_POLL_S = 0.1
_WORTH_SAYING = ("ready", "crashed", "failed")


def up(
    home: Home,
    environment: str = "local",
    port: int = 8400,
    background: bool = True,
    settings: str = "",
) -> None:
    """Start every server and wait until all are healthy; progress goes to stderr.

    Where they run already, what changed is replaced without a lost request.

    Args:
        home: Where the bundles lie.
        environment: Whose model files.
        port: The gateway's; the servers take the four after it.
        background: False stays until Ctrl-C, then stops all.
        settings: The gateway's configuration as JSON; empty: its default preset.

    Raises:
        TastemakerError: The model files are refused; what runs goes on.
        ServiceError: A port is taken, or a server did not start; then nothing is left running. Or
            a new version did not become ready; then what ran goes on.
    """
    _look_at_repository(home)
    services(home, environment, port, settings)  # refused here, before anything is touched
    if not background:
        _say(f"the assistant will be at http://127.0.0.1:{port}; Ctrl-C stops it")
    run(home, Asked(environment, port, settings), background=background)
    if background:
        _say(f"the assistant is at http://127.0.0.1:{port}")


def check_ports(home: Home, port: int) -> None:
    """Look whether the ports from this one on are free, or this home's own servers hold them.

    Raises:
        ServiceError: One is taken, naming it and its holder.
    """
    own = state.reconciler(home)
    for name, needed in ports(port).items():
        holder = processes.port_holder(needed)
        if holder and not (own and holder.startswith(f"pid {own.pid} ")):
            raise processes.port_taken(needed, name, holder)


def run(home: Home, asked: Asked, *, background: bool = True) -> None:
    """`up` for anything that can be asked for.

    Args:
        home: Keeps logs and state in run/.
        asked: What to run.
        background: As for `up`.

    Raises:
        ServiceError: As for `up`.
    """
    with _one_at_a_time(home):
        running = state.reconciler(home)
        if running and _serves_alike(state.read(home), asked):
            _ask(home, asked, running)
            return
        if running:
            _say("ports or TASTEMAKER_* variables are others than before: starting anew")
        _stop(home)
        asked.write(home)
        if background:
            _start(home, asked)
            return
    supervise(home, tell=_say, at_terminal=True)


def down(home: Home) -> bool:
    """Stop the reconciler and all servers of a home.

    Returns:
        False where nothing was running.
    """
    return _stop(home)


def status(home: Home, *, as_json: bool = False) -> str:
    """What runs.

    Args:
        home: Of which the state is asked.
        as_json: For programs: {"running": bool, "servers": [...], ...}.
    """
    running = state.reconciler(home) is not None
    content = state.read(home) if running else {}
    if as_json:
        return json.dumps({"running": running, **content}, indent=1)
    return state.table(content) if running else "not running"


def _look_at_repository(home: Home) -> None:
    """Bring the checkout up to date; where the repository does not answer, an older one counts."""
    try:
        if home.store or repository.is_there(home):  # a home on S3 must name one
            checkout.update(home)
    except GitError as error:
        if checkout.current(home) is None:
            raise
        _say(f"the repository does not answer, so what was live last is: {error}")


def _serves_alike(found: dict[str, Any], asked: Asked) -> bool:
    """Whether a running reconciler can do what is asked: it keeps its ports and variables."""
    return bool(found["ports"] == _ports(asked) and found["variables"] == variables_digest())


def _ports(asked: Asked) -> dict[str, int]:
    if asked.services is not None:
        return {service.name: service.port for service in asked.services}
    return ports(asked.port)


def _ask(home: Home, asked: Asked, running: Identity) -> None:
    """Have a running reconciler look at what is wanted now."""
    before = state.read(home)["servers"]
    asked.write(home)
    processes.send(running, signal.SIGHUP)
    known = {one["pid"]: one["state"] for one in before}
    found = _until_handled(home, asked, running, known)
    if not running.alive():
        raise ServiceError(f"the reconciler ended; see {_log(home)}")
    if found["outcome"]:
        raise ServiceError(f"{found['outcome']} (what ran before goes on)")
    if _versions(before) == _versions(found["servers"]):
        _say("already up, with the same bundles")


def _versions(rows: list[dict[str, Any]]) -> set[tuple[str, str, int, bool]]:
    return {
        (one["key"], one["version"], one["weight"], one["state"] == "failed")
        for one in rows
        if one["current"]
    }


def _start(home: Home, asked: Asked) -> None:
    command = [sys.executable, "-m", "tastemaker.serving.supervise", "--home", home.location]
    with _log(home).open("wb") as output:
        process = subprocess.Popen(
            command,
            env=base_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        who = processes.identity(process.pid)
        found = _until_handled(home, asked, who, {}) if who else {}
        if found.get("handled") != asked.id:
            # Its main thread has ended; the kernel may still be taking down the others.
            process.wait(STOP_TIMEOUT_S)
        if process.poll() is not None:
            raise ServiceError(_reason(home, found))
    except BaseException:  # Ctrl-C too: nothing half-started stays
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
        processes.stop(processes.marked_members(home.root), grace_s=5.0)
        state.forget(home)
        raise


def _until_handled(home: Home, asked: Asked, who: Identity, told: dict[int, str]) -> dict[str, Any]:
    """Say what a reconciler does until it has done what was asked, or ends.

    Args:
        home: Whose.
        asked: What.
        who: The reconciler.
        told: State by pid of what is known already.

    Returns:
        Its last state.
    """
    begun = time.monotonic()
    found: dict[str, Any] = {}
    while True:
        lives = who.alive()
        if (content := state.read(home)).get("pid") == who.pid:
            found = content
        for one in found.get("servers", []):
            if one["state"] in _WORTH_SAYING and told.get(one["pid"]) != one["state"]:
                _say(f"{one['key']}: {one['state']} after {time.monotonic() - begun:.0f} s")
            told[one["pid"]] = one["state"]
        if not lives or found.get("handled") == asked.id:
            return found
        time.sleep(_POLL_S)


def _reason(home: Home, found: dict[str, Any]) -> str:
    log = _log(home).read_text(errors="replace")
    begun = log.rfind("error: ")
    said = log[begun:].removeprefix("error: ").strip() if begun >= 0 else ""
    said = said or f"the reconciler ended: {log[-500:]}"
    if not (failed := found.get("failed_log")):
        return said
    lines = Path(failed).read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join([said, f"last lines of {failed}:", *(f"  {line[:300]}" for line in lines)])


def _stop(home: Home) -> bool:
    leader = state.reconciler(home)
    if leader:
        processes.send(leader, signal.SIGTERM)
        until = time.monotonic() + STOP_TIMEOUT_S
        while leader.alive() and time.monotonic() < until:
            time.sleep(0.05)
        processes.stop([leader], grace_s=0)
    left = processes.marked_members(home.root)
    processes.stop(left, grace_s=5.0)
    state.forget(home)
    return bool(leader or left)


@contextmanager
def _one_at_a_time(home: Home) -> Iterator[None]:
    """A second `up` waits for the first one to be done."""
    with home.path("run", "up.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _log(home: Home) -> Path:
    path = home.path("run", "logs", "reconciler.log")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
