"""Who answers a router step: a member chosen by order, cost or latency; others when it fails.

The first good reply counts. A member that fails is followed by the next; one that is slow is not
waited for alone (hedging). What every attempt took is kept, the losing ones too.
"""

import asyncio
import time
from collections.abc import Sequence

from tastemaker.assistant.clients import ServiceDown
from tastemaker.assistant.ledger import Attempt, Ledger
from tastemaker.assistant.providers import counters
from tastemaker.assistant.providers.backend import Backend, BackendFault
from tastemaker.assistant.providers.health import Health
from tastemaker.assistant.providers.member import Member, Routed
from tastemaker.assistant.providers.openai_compatible import estimated_request_tokens
from tastemaker.assistant.providers.request import RouterReply, RouterRequest
from tastemaker.assistant.providers.settings import ProvidersConfig
from tastemaker.assistant.providers.shadow import Shadow


class NoBackend(ServiceDown):
    """No member gave a usable reply."""

    def __init__(self, reason: str) -> None:
        super().__init__("router", "the router family", reason)


class Policy:
    """The router family.

    Args:
        backends: One for each member of the configuration, in its order.
        config: Members and the rule of choice.
        ledger: Prices attempts and keeps what the shadow cost.

    Raises:
        NotFound: A member's price is not in the price list.
    """

    def __init__(
        self, backends: Sequence[Backend], config: ProvidersConfig, ledger: Ledger
    ) -> None:
        self.config = config
        self.members = tuple(
            Member(
                backend,
                member,
                Health(config.failures_to_open, config.open_s, config.stale_s),
                ledger.prices,
            )
            for backend, member in zip(backends, config.members, strict=True)
        )
        for member in config.members:
            ledger.prices.check(member.price)
        self.shadow: Shadow | None = None
        if config.shadow:
            self.shadow = Shadow(self.member(config.shadow.member), config.shadow, ledger)

    def member(self, name: str) -> Member:
        """A member by its name, which is one."""
        return next(member for member in self.members if member.name == name)

    async def complete(
        self,
        request: RouterRequest,
        *,
        timeout_s: float,
        attempts: list[Attempt] | None = None,
    ) -> Routed:
        """One router step.

        Args:
            request: What to ask.
            timeout_s: Longest wait for all attempts together, > 0.
            attempts: Where attempts are added as they end, for whoever accounts for a step that
                raises or is cancelled, too.

        Raises:
            NoBackend: No member gave a usable reply; a `ServiceDown`.
        """
        race = _Race(self.in_order(), self.config.slow_after_ms, request, timeout_s)
        if attempts is not None:
            race.attempts = attempts
        before = len(race.attempts)
        try:
            reply, winner = await race.run()
        finally:
            await race.stop()
            counters.count(race.attempts[before:])
        routed = Routed(reply, winner.name, tuple(race.attempts[before:]))
        if self.shadow is not None:
            self.shadow.maybe(request, routed)
        return routed

    def in_order(self) -> list[Member]:
        """Members to try: those left alone come last, those that asked to wait not at all."""
        willing = [member for member in self.members if not member.health.waiting]
        chosen = sorted(willing, key=self._rank)  # stable: equal ones keep their order
        return sorted(chosen, key=lambda member: not member.health.admits())

    def _rank(self, member: Member) -> tuple[bool, float]:
        ms, budget_ms = member.health.latency_ms, member.config.latency_budget_ms
        late = ms is not None and budget_ms is not None and ms > budget_ms
        if self.config.choose == "order":
            return late, 0.0
        if self.config.choose == "fastest" or late:
            return late, ms or 0.0  # one whose latency is unknown is tried
        return late, member.expected_cents

    async def readiness(self) -> dict[str, str]:
        """By member, an empty string when it can be asked, else why not."""
        whys = await asyncio.gather(*(member.backend.ready() for member in self.members))
        return {member.name: why for member, why in zip(self.members, whys, strict=True)}

    async def close(self) -> None:
        """Give up the shadow's requests under way."""
        if self.shadow is not None:
            await self.shadow.close()


class _Race:
    """The attempts of one step."""

    def __init__(
        self,
        members: list[Member],
        slow_after_ms: float | None,
        request: RouterRequest,
        timeout_s: float,
    ) -> None:
        self.waiting, self.request = members, request
        self.slow_s = slow_after_ms / 1000 if slow_after_ms else None
        self.deadline_s = time.monotonic() + timeout_s
        self.running: dict[asyncio.Task[RouterReply], tuple[Member, float]] = {}
        self.attempts: list[Attempt] = []
        self.readable: tuple[RouterReply, Member] | None = None
        self.won_by_start_s = 0.0  # when the winning attempt began, 0 for none

    def remaining_s(self) -> float:
        return self.deadline_s - time.monotonic()

    async def run(self) -> tuple[RouterReply, Member]:
        before = len(self.attempts)
        self._start_next()
        while self.running:
            wait_s = self.remaining_s()
            if self.slow_s is not None and self.waiting:
                wait_s = min(wait_s, self.slow_s)
            done, _ = await asyncio.wait(
                self.running, timeout=max(wait_s, 0.0), return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                if (good := self._finish(task)) is not None:
                    return good
            if self.remaining_s() <= 0:
                break
            if not done or not self.running:
                self._start_next()
        await self.stop()
        if self.readable is not None:  # whoever asked can say what is wrong with its calls
            return self.readable
        tried = [f"{a.member}: {a.outcome} after {a.ms:.0f} ms" for a in self.attempts[before:]]
        raise NoBackend("; ".join(tried) or "every member asked to be left alone for a while")

    def _start_next(self) -> None:
        while self.waiting:
            member = self.waiting.pop(0)
            if member.health.waiting:
                continue
            member.health.begin()
            timeout_s = min(member.config.timeout_s, self.remaining_s())
            work = member.backend.complete(self.request, timeout_s=timeout_s)
            self.running[asyncio.ensure_future(work)] = (member, time.monotonic())
            return

    def _finish(self, task: asyncio.Task[RouterReply]) -> tuple[RouterReply, Member] | None:
        member, start_s = self.running.pop(task)
        ms = (time.monotonic() - start_s) * 1000
        try:
            reply = task.result()
        except BackendFault as fault:
            if fault.kind == "refused":  # the request is to blame, not the member
                member.health.dropped()
            else:
                member.health.failed(retry_after_s=fault.retry_after_s)
            if fault.reply is not None and self.readable is None:
                self.readable = (fault.reply, member)
            billed = self._sent() if fault.kind == "timeout" else fault.reply
            self.attempts.append(member.attempt(fault.kind, ms, billed))
            return None
        self.won_by_start_s = start_s
        attempt = member.attempt("ok", ms, reply)
        member.health.succeeded(ms, attempt.cents)
        self.attempts.append(attempt)
        return reply, member

    async def stop(self) -> None:
        """Give up what is still running, and account for it."""
        given_up, self.running = self.running, {}
        for task, (member, start_s) in given_up.items():
            ms, outcome = (time.monotonic() - start_s) * 1000, "overtaken"
            if self.won_by_start_s:
                if start_s < self.won_by_start_s:
                    member.health.slow(ms)
                else:
                    member.health.dropped()
            elif self.remaining_s() <= 0:
                outcome = "timeout"
                member.health.failed()
            else:
                outcome = "left"
                member.health.dropped()
            task.cancel()
            self.attempts.append(member.attempt(outcome, ms, self._sent()))
        if given_up:
            await asyncio.gather(*given_up, return_exceptions=True)

    def _sent(self) -> RouterReply:
        return RouterReply({}, estimated_request_tokens(self.request), 0)
