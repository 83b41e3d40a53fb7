"""The supervisor's loop: start servers, wait until they are healthy, restart those that crash."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tastemaker.core.errors import ServiceError
from tastemaker.core.home import Home, write_text
from tastemaker.serving import processes
from tastemaker.serving.services import Service

MAX_RESTARTS = 5  # of one server, ever; a server that keeps crashing takes all down, loudly
FIRST_BACKOFF_S = 1.0  # doubled at each restart of the same server
STOP_GRACE_S = 6.0
_POLL_S = 0.2


def is_healthy(service: Service) -> bool:
    """True when a service answers 200 at its health path."""
    try:
        reply = httpx.get(service.url + service.health, timeout=2.0, trust_env=False)
    except httpx.HTTPError:
        return False
    return reply.status_code == 200


@dataclass
class Server:
    """A service's process, as it is now."""

    service: Service
    process: subprocess.Popen[bytes] | None = None
    state: str = "waiting"  # waiting, starting, ready, crashed, stopped
    restarts: int = 0
    start_at: float = 0.0  # monotonic seconds before which it is not started again

    def crashed(self) -> bool:
        """True when its process ended by itself."""
        return self.process is not None and self.process.poll() is not None


class Watch:
    """Runs services until it is asked to stop.

    Args:
        home: Whose servers they are; logs go to its run/logs/.
        services: What to run.
        environment: Variables of every server; a service adds its own.
        state: JSON file that says what runs.
    """

    def __init__(
        self, home: Home, services: Sequence[Service], environment: Mapping[str, str], state: Path
    ) -> None:
        self.home, self.environment, self.state_path = home, environment, state
        self.servers = [Server(service) for service in services]
        self.stopping = False
        self.started = time.time()
        self.written = ""
        self.failed: str | None = None

    def ask_to_stop(self, *_: object) -> None:
        """Signal handler."""
        self.stopping = True

    def run(self, timeout_s: float, *, tell: Callable[[str], None]) -> None:
        """Start all, watch until asked to stop, then stop all.

        Args:
            timeout_s: Longest time until all are healthy at first.
            tell: Called with a line for each thing that happens.

        Raises:
            ServiceError: A server ended before it was healthy, took too long, or crashed too
                often; all are stopped by then.
        """
        try:
            self._run(timeout_s, tell)
        except ServiceError:
            self.write_state("failed")
            raise
        finally:
            self._stop_all()
            if self.failed is None:
                self.state_path.unlink(missing_ok=True)

    def _run(self, timeout_s: float, tell: Callable[[str], None]) -> None:
        for server in self.servers:
            self._log(server).unlink(missing_ok=True)
            self._start(server)
        self.write_state("starting")
        until = time.monotonic() + timeout_s
        while not self.stopping and any(s.state != "ready" for s in self.servers):
            for server in self.servers:
                self._first_start(server, timed_out=time.monotonic() > until, tell=tell)
            self.write_state("starting")
            time.sleep(_POLL_S)
        if not self.stopping:
            tell(f"all {len(self.servers)} servers are ready")
        while not self.stopping:
            for server in self.servers:
                self._keep_running(server, tell)
            self.write_state("ready")
            time.sleep(_POLL_S)

    def _first_start(self, server: Server, *, timed_out: bool, tell: Callable[[str], None]) -> None:
        name = server.service.name
        if server.crashed():
            assert server.process is not None
            self._fail(name, f"ended with code {server.process.returncode} while starting")
        if server.state == "starting" and is_healthy(server.service):
            server.state = "ready"
            tell(f"{name}: ready")
        elif server.state == "starting" and timed_out:
            self._fail(name, "was not healthy in time")

    def _keep_running(self, server: Server, tell: Callable[[str], None]) -> None:
        name = server.service.name
        if server.crashed():
            assert server.process is not None
            code = server.process.returncode
            self._stop(server)
            if server.restarts >= MAX_RESTARTS:
                self._fail(name, f"crashed {server.restarts + 1} times, last with code {code}")
            wait_s = FIRST_BACKOFF_S * 2**server.restarts
            server.restarts += 1
            server.process, server.state = None, "crashed"
            server.start_at = time.monotonic() + wait_s
            tell(f"{name}: ended with code {code}; restart {server.restarts} in {wait_s:.0f} s")
        elif server.state == "crashed" and time.monotonic() >= server.start_at:
            self._start(server)
        elif server.state == "starting" and is_healthy(server.service):
            server.state = "ready"
            tell(f"{name}: ready again")

    def _fail(self, name: str, what: str) -> None:
        self.failed = name
        raise ServiceError(f"{name} {what}; all servers are stopped (log: {self._path(name)})")

    def _start(self, server: Server) -> None:
        service = server.service
        environment = {**self.environment, **service.environment}
        server.process = processes.start(
            service.command, environment, self._log(server), home=self.home.root
        )
        server.state = "starting"

    def _stop(self, server: Server) -> None:
        """End what is left of a server's session: an engine outlives its crashed front."""
        if server.process is not None:
            processes.stop(processes.session_members(server.process.pid), grace_s=1.0)
            server.process.wait()

    def _stop_all(self) -> None:
        leaders = [processes.identity(s.process.pid) for s in self.servers if s.process]
        processes.stop([who for who in leaders if who], grace_s=STOP_GRACE_S)
        for server in self.servers:
            self._stop(server)
            server.state = "stopped"

    def write_state(self, state: str) -> None:
        """Write the state file where something changed."""
        me = processes.identity(os.getpid())
        assert me is not None
        content: dict[str, Any] = {
            "pid": me.pid,
            "pid_started": me.started,
            "started": self.started,
            "state": state,
            "failed": self.failed,
            "processes": {
                server.service.name: {
                    "pid": server.process.pid if server.process else 0,
                    "port": server.service.port,
                    "state": server.state,
                    "restarts": server.restarts,
                    "log": str(self._log(server)),
                }
                for server in self.servers
            },
        }
        text = json.dumps(content, indent=1)
        if text != self.written:
            write_text(self.state_path, text)
            self.written = text

    def _log(self, server: Server) -> Path:
        return self._path(server.service.name)

    def _path(self, name: str) -> Path:
        return self.home.path("run", "logs", f"{name}.log")
