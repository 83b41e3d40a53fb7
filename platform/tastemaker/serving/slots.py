"""One running version of a server: its process, started, restarted when it crashes, stopped."""

import asyncio
import os
import random
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import aiohttp

from tastemaker.core.errors import ServiceError
from tastemaker.serving import processes
from tastemaker.serving.proxy import HOST
from tastemaker.serving.services import Service
from tastemaker.serving.surroundings import Surroundings

# Below the ports that the kernel gives to outgoing connections, which could take one meanwhile.
_PRIVATE_PORTS = range(24_000, 32_000)
_POLL_S = 0.1
_READY_TIMEOUT_S = 2.0


class NotReady(ServiceError):
    """A process that ended or took too long before it could serve.

    Args:
        reason: Without its name.
        slot: Which.
    """

    def __init__(self, slot: "Slot", reason: str) -> None:
        super().__init__(f"{slot.service.key} {reason}")
        self.slot, self.reason = slot, reason

    @property
    def log(self) -> Path:
        """What it wrote."""
        return self.slot.log


class Slot:
    """A version of a server and its process; a backend of the proxy.

    Args:
        service: What to run.
        around: What all slots share.
        urls: Addresses of the servers that it uses.
        log: Where its output goes.
    """

    def __init__(
        self, service: Service, around: Surroundings, urls: Mapping[str, str], log: Path
    ) -> None:
        self.service, self.around, self.urls, self.log = service, around, urls, log
        self.state, self.event, self.since = "waiting", "", time.time()
        self.in_flight = self.restarts = self.port = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def bundle(self) -> str:
        """What it serves."""
        return self.service.bundle

    @property
    def repeatable(self) -> bool:
        """Whether it only computes."""
        return self.service.repeatable

    @property
    def url(self) -> str:
        """Address of its process, which changes when it is restarted."""
        return f"http://{HOST}:{self.port}"

    @property
    def accepts(self) -> bool:
        """Whether it is ready, or ready to finish what it has begun."""
        return self.state == "ready"

    @property
    def pid(self) -> int:
        """Of its process; 0 where none runs."""
        return self.process.pid if self.process else 0

    def share(self, service: Service) -> None:
        """Take over what may change without another process: its share."""
        assert service.version == self.service.version
        self.service = service

    async def start(self) -> None:
        """Start the process and wait until it is ready and stays so for a moment.

        Raises:
            NotReady: It ended, or was not ready in time; the process may still be there.
        """
        timing = self.around.timing
        self._set("starting")
        try:
            self._launch()
        except OSError as error:
            raise NotReady(self, f"could not be started: {error}") from None
        until, ready_since = time.monotonic() + timing.start_s, None
        while ready_since is None or time.monotonic() - ready_since < timing.settle_s:
            if (code := self._code()) is not None:
                raise NotReady(self, f"ended with code {code} while starting")
            if not await self._answers(self.service.health, _READY_TIMEOUT_S):
                ready_since = None
            elif ready_since is None:
                ready_since = time.monotonic()
            if ready_since is None and time.monotonic() > until:
                raise NotReady(self, f"was not healthy in time ({timing.start_s:g} s)")
            await asyncio.sleep(_POLL_S)
        self._set("ready")

    def keep(self) -> None:
        """From now on, restart it when it crashes or hangs."""
        self._keeper = asyncio.ensure_future(self._keep())

    async def stop(self, drain_s: float) -> None:
        """Wait for its requests, then end its process and all that it started.

        Args:
            drain_s: Longest wait.
        """
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
        if self.in_flight:
            self._set("draining")
        until = time.monotonic() + drain_s
        while self.in_flight and time.monotonic() < until:
            await asyncio.sleep(0.05)
        self._set("stopping")
        await asyncio.to_thread(self._end, self.around.timing.stop_s)
        self._set("stopped")

    def note(self, event: str) -> None:
        """Say what happened to it, in the state and in the log."""
        self.event = event
        self.around.tell(f"{self.service.key}: {event}")

    async def _keep(self) -> None:
        timing, in_row = self.around.timing, 0
        while True:
            ready_at = time.monotonic()
            reason: str | None = await self._gone()
            if time.monotonic() - ready_at >= timing.healthy_s:
                in_row = 0
            while reason is not None:
                self._set("crashed")
                await asyncio.to_thread(self._end, 1.0)
                if in_row >= timing.max_in_row:
                    self._set("failed")
                    self.note(f"failed: {reason}, {in_row + 1} times in a row")
                    return
                wait_s = min(timing.backoff_s * 2**in_row, timing.max_backoff_s)
                in_row, self.restarts = in_row + 1, self.restarts + 1
                self.note(f"{reason}; restart {self.restarts} in {wait_s:g} s")
                await asyncio.sleep(wait_s)
                reason = await self._restart()

    async def _gone(self) -> str:
        """Wait until the process has ended or hangs; says which."""
        probe, silent, asked_at = self.service.liveness, 0, time.monotonic()
        while (code := self._code()) is None:
            await asyncio.sleep(_POLL_S)
            if probe is None or time.monotonic() - asked_at < probe.period_s:
                continue
            silent = 0 if await self._answers(probe.path, probe.timeout_s) else silent + 1
            asked_at = time.monotonic()
            if silent >= probe.failures and self._code() is None:
                return f"hangs: {probe.path} was not answered {silent} times in a row"
        return f"ended with code {code}"

    async def _restart(self) -> str | None:
        """Start again; gives the reason where that failed."""
        try:
            await self.start()
        except NotReady as error:
            return error.reason
        self.note("ready again")
        return None

    def _launch(self) -> None:
        # From the main thread: the kernel ends the process when the thread that started it ends.
        self.port = free_port()
        filled = self.service.filled(self.port, self.urls)
        environment = {**self.around.environment, **filled.environment}
        self.process = processes.start(
            filled.command, environment, self.log, home=self.around.home.root
        )

    def _code(self) -> int | None:
        return self.process.poll() if self.process is not None else None

    async def _answers(self, path: str, timeout_s: float) -> bool:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            async with self.around.http.get(self.url + path, timeout=timeout) as reply:
                return reply.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError):
            return False

    def _end(self, grace_s: float) -> None:
        """End the process, then what is left of its session: an engine outlives its front."""
        process, self.process = self.process, None
        if process is None:
            return
        if leader := processes.identity(process.pid):
            processes.stop([leader], grace_s=grace_s)
        processes.stop(processes.session_members(process.pid), grace_s=1.0)
        process.wait()

    def _set(self, state: str) -> None:
        if state != self.state:
            self.state, self.since = state, time.time()


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    start = random.Random(os.urandom(8)).randrange(len(_PRIVATE_PORTS))
    for offset in range(len(_PRIVATE_PORTS)):
        port = _PRIVATE_PORTS[(start + offset) % len(_PRIVATE_PORTS)]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((HOST, port))
                return port
    raise ServiceError(f"no free port in {_PRIVATE_PORTS.start} to {_PRIVATE_PORTS.stop}")


def renamed(slot: Slot, name: str) -> None:
    """Move a slot's log to another name in its folder; its process goes on writing there."""
    target = slot.log.with_name(name)
    with suppress(FileNotFoundError):
        slot.log.rename(target)
    slot.log = target
