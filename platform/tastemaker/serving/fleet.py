"""All servers of an environment: what is started beside what, when addresses switch, what drains.

A **release** is a set of private addresses, one a server. A server that uses others (the gateway)
is given the addresses of its release, so that requests under way at an old gateway still reach
the models of its own embedding space after the public addresses have switched.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence

from tastemaker.serving import processes
from tastemaker.serving.changes import Change
from tastemaker.serving.proxy import HOST, Proxy
from tastemaker.serving.routes import Backend, Route
from tastemaker.serving.services import Service
from tastemaker.serving.slots import Slot, free_port, renamed
from tastemaker.serving.surroundings import Surroundings


class Release:
    """Routes of servers that belong together, each with a private port."""

    def __init__(self, names: Iterable[str]) -> None:
        self.routes = {name: Route(name) for name in names}
        self.ports: dict[str, int] = {}

    async def open(self, proxy: Proxy) -> None:
        """Listen on a free port for each route."""
        for name, route in self.routes.items():
            port = free_port()
            await proxy.listen(port, _always(route))
            self.ports[name] = port

    async def close(self, proxy: Proxy) -> None:
        """Listen no more."""
        for port in self.ports.values():
            await proxy.leave(port)

    @property
    def urls(self) -> dict[str, str]:
        """Address by name."""
        return {name: f"http://{HOST}:{port}" for name, port in self.ports.items()}


class Fleet:
    """The slots that run and the addresses that lead to them.

    Args:
        proxy: Holds the addresses.
        around: What all slots share.
    """

    def __init__(self, proxy: Proxy, around: Surroundings) -> None:
        self.proxy, self.around = proxy, around
        self.slots: dict[str, Slot] = {}
        self.starting: dict[str, Slot] = {}
        self.leaving: list[Slot] = []
        self.ports: dict[str, int] = {}
        self._release = Release(())
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> dict[str, Service]:
        """Services by key, without those that were given up: they are wanted, and not there."""
        return {k: slot.service for k, slot in self.slots.items() if slot.state != "failed"}

    async def open(self, services: Sequence[Service]) -> None:
        """Take the public ports.

        Raises:
            ServiceError: One is taken, naming it and its holder.
        """
        ports = {service.name: service.port for service in services}
        self._release = Release(ports)
        for name, port in ports.items():
            try:
                await self.proxy.listen(port, lambda name=name: self._release.routes[name])  # type: ignore[misc]
            except OSError as error:
                holder = processes.port_holder(port) or f"somebody ({error.strerror})"
                raise processes.port_taken(port, name, holder) from None
            self.ports[name] = port

    async def apply(self, change: Change) -> None:
        """Start the new versions beside the old ones; switch when all are ready.

        Raises:
            NotReady: A new one did not become ready; all new ones are stopped, and what ran
                still runs.
        """
        fresh = not self.slots or any(service.uses for service in self._new(change))
        release = Release(self.ports) if fresh else self._release
        try:
            if fresh:
                await release.open(self.proxy)
            self._make_slots(change, release)
            if fresh:
                self._lead(release, self.ports, self._after(change))
            await self._start_all()
        except BaseException:
            # Shielded: what is half started goes even where this is cancelled.
            await asyncio.shield(self._give_up(release if fresh else None))
            raise
        self._switch(change, release)

    async def stop(self, drain_s: float) -> None:
        """Answer what is under way, then stop everything; servers that use others first."""
        self.proxy.closing = True
        for port in self.ports.values():
            await self.proxy.leave(port)
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        slots = [*self.slots.values(), *self.starting.values(), *self.leaving]
        await _stop_in_order(slots, drain_s)

    def _new(self, change: Change) -> list[Service]:
        """Services of a change for which no process runs yet."""
        running = self.running
        return [
            service
            for service in change.services
            if service.key not in running or running[service.key].version != service.version
        ]

    def _make_slots(self, change: Change, release: Release) -> None:
        for service in self._new(change):
            log = self.around.home.path("run", "logs", f"{service.key}.next.log")
            log.unlink(missing_ok=True)
            self.starting[service.key] = Slot(service, self.around, release.urls, log)

    def _after(self, change: Change) -> dict[str, Slot]:
        """The slots by key once a change is made."""
        kept = {k: s for k, s in self.slots.items() if s.service.name not in change.names}
        for service in change.services:
            kept[service.key] = self.starting.get(service.key) or self.slots[service.key]
        return kept

    def _lead(self, release: Release, names: Collection[str], slots: dict[str, Slot]) -> None:
        for name in names:
            of_name = [slot for slot in slots.values() if slot.service.name == name]
            weighted: list[tuple[Backend, int]] = [(s, s.service.weight) for s in of_name]
            release.routes[name].lead_to(weighted)

    async def _start_all(self) -> None:
        tasks = [asyncio.ensure_future(slot.start()) for slot in self.starting.values()]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _give_up(self, release: Release | None) -> None:
        await _stop_in_order(self.starting.values(), drain_s=0)
        for slot in self.starting.values():
            renamed(slot, f"{slot.service.key}.failed.log")
        self.starting = {}
        if release is not None:
            await release.close(self.proxy)

    def _switch(self, change: Change, release: Release) -> None:
        """Lead every address to the new versions; without a pause, so no request sees a half."""
        before, after = self.slots, self._after(change)
        for service in change.services:
            after[service.key].share(service)
        old = self._release if release is not self._release else None
        self._lead(release, change.names if old is None else self.ports, after)
        self._release, self.slots = release, after
        gone = [slot for key, slot in before.items() if after.get(key) is not slot]
        for slot in gone:
            renamed(slot, f"{slot.service.key}.previous.log")
        for slot in self.starting.values():
            renamed(slot, f"{slot.service.key}.log")
            slot.keep()
            slot.note("ready" if slot.service.key not in before else "switched to this version")
        self.starting = {}
        self.leaving += gone
        retiring = asyncio.ensure_future(self._retire(gone, old))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def _retire(self, gone: list[Slot], old: Release | None) -> None:
        await _stop_in_order(gone, self.around.timing.drain_s)
        self.leaving = [slot for slot in self.leaving if slot not in gone]
        if old is not None:
            await old.close(self.proxy)


async def _stop_in_order(slots: Iterable[Slot], drain_s: float) -> None:
    """Servers that use others first: while they finish, the others must still answer."""
    users = [slot for slot in slots if slot.service.uses]
    used = [slot for slot in slots if not slot.service.uses]
    for group in (users, used):
        await asyncio.gather(*(slot.stop(drain_s) for slot in group))


def _always(route: Route) -> Callable[[], Route]:
    return lambda: route
