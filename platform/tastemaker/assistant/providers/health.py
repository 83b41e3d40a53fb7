"""What is known of a member: how fast it is, what it costs, whether it is left alone."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

_WEIGHT = 0.3  # of the newest measurement


@dataclass
class Health:
    """Circuit breaker and running averages of one member.

    Closed: asked. Open: left alone for `open_s` after `failures_to_open` failures in a row, or for
    as long as the member itself asked. Then half open: one request tries it, and its outcome
    closes or opens again.

    Attributes:
        failures_to_open: Failures in a row, >= 1.
        open_s: Seconds alone.
        stale_s: A latency measured longer ago than this counts as unknown.
        clock: Seconds, monotonic.
        cents: Running average of a request, None while unknown.
    """

    failures_to_open: int = 3
    open_s: float = 5.0
    stale_s: float = 60.0
    clock: Callable[[], float] = time.monotonic
    cents: float | None = None
    _latency_ms: float | None = None
    _measured_s: float = field(default=0.0)
    _failures: int = 0
    _open_until_s: float = 0.0
    _asked_to_wait_until_s: float = 0.0
    _probing: bool = False

    @property
    def waiting(self) -> bool:
        """True while the member itself asked to be left alone (Retry-After)."""
        return self.clock() < self._asked_to_wait_until_s

    @property
    def state(self) -> str:
        """closed, open or half-open."""
        if self.waiting or self.clock() < self._open_until_s:
            return "open"
        return "half-open" if self._failures >= self.failures_to_open else "closed"

    @property
    def latency_ms(self) -> float | None:
        """Running average of good replies, None while unknown or long ago."""
        fresh = self.clock() - self._measured_s < self.stale_s
        return self._latency_ms if fresh else None

    def admits(self) -> bool:
        """Whether a request may go there now; in half-open one at a time."""
        return self.state == "closed" or (self.state == "half-open" and not self._probing)

    def begin(self) -> None:
        """A request goes there."""
        if self.state == "half-open":
            self._probing = True

    def succeeded(self, ms: float, cents: float) -> None:
        """It gave a good reply."""
        known_ms, self._measured_s = self.latency_ms, self.clock()
        self._latency_ms = ms if known_ms is None else known_ms + _WEIGHT * (ms - known_ms)
        self.cents = cents if self.cents is None else self.cents + _WEIGHT * (cents - self.cents)
        self._failures, self._probing = 0, False

    def failed(self, *, retry_after_s: float | None = None) -> None:
        """It gave none."""
        self._failures += 1
        self._probing = False
        if self._failures >= self.failures_to_open:
            self._open_until_s = self.clock() + self.open_s
        if retry_after_s:
            self._asked_to_wait_until_s = self.clock() + retry_after_s

    def slow(self, ms: float) -> None:
        """A later one overtook it after `ms`: so slow counts as failed."""
        known_ms, self._measured_s = self.latency_ms, self.clock()
        if known_ms is None or ms > known_ms:
            self._latency_ms = ms if known_ms is None else known_ms + _WEIGHT * (ms - known_ms)
        self.failed()

    def dropped(self) -> None:
        """The request was given up for reasons that say nothing about the member."""
        self._probing = False
