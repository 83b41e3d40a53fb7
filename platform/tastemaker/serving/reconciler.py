"""Makes what runs equal to what is wanted, again and again.

It follows the promotion repository, and looks at the model files every second. What they ask for is
started beside what runs, and takes over when it is ready; where it does not become ready, what runs
goes on and the state says `rolled back`.
"""

import asyncio
import json
import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict

from tastemaker.core.errors import ServiceError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.serving import processes, state
from tastemaker.serving.asked import Asked
from tastemaker.serving.changes import Change, Shape, changes, shape
from tastemaker.serving.fleet import Fleet
from tastemaker.serving.followed import Followed
from tastemaker.serving.services import Service, variables_digest
from tastemaker.serving.slots import NotReady
from tastemaker.serving.wanted import fingerprint, read

STOP_DRAIN_S = 10.0  # for requests under way when everything is to stop
_STATE_S = 0.1  # between two looks at what is to be written


class Reconciler:
    """Runs the servers of a home until it is asked to stop.

    Args:
        home: Whose.
        fleet: Of that home.
        tell: Called with a line for each thing that happens.
    """

    def __init__(self, home: Home, fleet: Fleet, tell: Callable[[str], None]) -> None:
        self.home, self.fleet, self.tell = home, fleet, tell
        self.phase, self.outcome, self.handled, self.failed_log = "starting", "", "", ""
        self.started = time.time()
        self._refused: dict[str, tuple[Shape, str]] = {}  # by name, with the reason
        self.followed = Followed(home, tell)
        self._stopping, self._woken = asyncio.Event(), asyncio.Event()
        self._written = ""

    def stop(self) -> None:
        """Ask it to stop."""
        self._stopping.set()
        self._woken.set()

    def wake(self) -> None:
        """Ask it to look at the files now."""
        self._woken.set()

    async def run(self, asked: Asked) -> None:
        """Start all, follow the files until asked to stop, then stop all.

        Raises:
            TastemakerError: Nothing can be served, or a server did not start; all are stopped.
        """
        writer = asyncio.ensure_future(self._keep_state())
        follower = asyncio.ensure_future(self._follow_repository(asked))
        seen = await asyncio.to_thread(fingerprint, self.home)
        try:
            await self._begin(asked)
            await self._follow(seen, asked.timing.poll_s)
            self.phase = "stopping"
        except TastemakerError:
            self.phase = "failed"
            raise
        finally:
            await _end(follower)
            await self.fleet.stop(STOP_DRAIN_S)
            await _end(writer)
            self.write_state()
            if self.phase != "failed":
                state.forget(self.home)

    async def _follow_repository(self, asked: Asked) -> None:
        if asked.services is None:
            await self.followed.keep()

    async def _begin(self, asked: Asked) -> None:
        wanted = await read(self.home, asked)
        await self.fleet.open(wanted)
        first = asyncio.ensure_future(self.fleet.apply(Change(tuple(wanted))))
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({first, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await _end(stopping)
        if not first.done():
            await _end(first)
            return
        try:
            await first
        except NotReady as error:
            self.failed_log = str(error.log)
            raise ServiceError(f"{error}; all servers are stopped") from None
        self.phase, self.handled = "ready", asked.id
        self.tell(f"all {len(wanted)} servers are ready")

    async def _follow(self, seen: str, poll_s: float) -> None:
        mark = seen
        work: asyncio.Task[None] | None = None
        while not self._stopping.is_set():
            woken = await self._wait(poll_s)
            before, mark = mark, await asyncio.to_thread(fingerprint, self.home)
            # A mark that is new twice: whoever writes several files is given the time to.
            if woken or (mark != seen and mark == before):
                seen = mark
                await _end(work)
                work = asyncio.ensure_future(self._reconcile())
        await _end(work)

    async def _wait(self, seconds: float) -> bool:
        """Wait until somebody wakes this, at most so long; true if somebody did."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        woken = self._woken.is_set()
        self._woken.clear()
        return woken

    async def _reconcile(self) -> None:
        """Bring what runs to what the files say now."""
        asked = Asked.read(self.home)
        if asked.id != self.handled:
            self._refused = {}  # somebody asks again: try again
        try:
            wanted = await read(self.home, asked)
            await self._change_to(wanted)
        except TastemakerError as error:
            self._conclude(asked, f"refused: {error}")
        except Exception as error:  # what runs goes on, whatever this is
            self.tell(traceback.format_exc())
            self._conclude(asked, f"refused: {type(error).__name__}: {error}")
        else:
            reasons = (why for _, why in self._refused.values())
            self._conclude(asked, "; ".join(dict.fromkeys(reasons)))

    async def _change_to(self, wanted: list[Service]) -> None:
        self._refused = {
            name: (failed, why)
            for name, (failed, why) in self._refused.items()
            if failed == shape(wanted, name)
        }
        refused = {name: failed for name, (failed, _) in self._refused.items()}
        for change in changes(self.fleet.running, wanted, refused):
            self.tell(f"changing {', '.join(change.names)}")
            try:
                await self.fleet.apply(change)
            except NotReady as error:
                self._roll_back(change, f"rolled back: {error}")
            else:
                for name in change.names:
                    self._refused.pop(name, None)

    def _roll_back(self, change: Change, reason: str) -> None:
        for name in change.names:
            self._refused[name] = (shape(change.services, name), reason)
            if (slot := self.fleet.slots.get(name)) is not None:
                slot.note(reason)

    def _conclude(self, asked: Asked, outcome: str) -> None:
        self.outcome, self.handled = outcome, asked.id
        self.tell(outcome or "what runs is what is wanted")

    async def _keep_state(self) -> None:
        while True:
            self.write_state()
            await asyncio.sleep(_STATE_S)

    def write_state(self) -> None:
        """Write the state file where something changed."""
        me, fleet = processes.identity(os.getpid()), self.fleet
        assert me is not None
        rows = [state.row(slot, current=True) for slot in fleet.slots.values()]
        others = [*fleet.starting.values(), *fleet.leaving]
        rows += [state.row(slot, current=False) for slot in others]
        content = {
            "pid": me.pid,
            "pid_started": me.started,
            "started": self.started,
            "state": self.phase,
            "outcome": self.outcome,
            "repository": self.followed.summary() if self.followed.name else "",
            "handled": self.handled,
            "failed_log": self.failed_log,
            "ports": fleet.ports,
            "variables": variables_digest(),
            "servers": [asdict(row) for row in rows],
        }
        text = json.dumps(content)
        if text != self._written:
            state.write(self.home, content)
            self._written = text


async def _end(task: "asyncio.Task | asyncio.Future | None") -> None:
    """Cancel a task and wait until it has ended."""
    if task is not None and not task.done():
        task.cancel()
        await asyncio.wait([task])
