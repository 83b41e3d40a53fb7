"""Circuit breakers: a tool that keeps failing rests a while, then one call tries it again."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class _State:
    failures: int = 0
    open_until_s: float = 0.0
    trying: bool = False


@dataclass
class Breakers:
    """One breaker for each name.

    Args:
        failures: In a row that open a breaker, >= 1.
        rest_s: How long it stays open, > 0.
        clock: Seconds, monotonic.
    """

    failures: int = 3
    rest_s: float = 15.0
    clock: Callable[[], float] = time.monotonic
    _states: dict[str, _State] = field(default_factory=dict)

    def resting_s(self, name: str) -> float:
        """Seconds until a call may be made; 0 for now."""
        state = self._states.get(name)
        if state is None or state.failures < self.failures:
            return 0.0
        left_s = state.open_until_s - self.clock()
        return left_s if left_s > 0 else (self.rest_s if state.trying else 0.0)

    def begin(self, name: str) -> float:
        """Start a call: 0 when it may be made, else seconds to wait.

        After a rest, one call at a time may try.
        """
        left_s = self.resting_s(name)
        state = self._states.setdefault(name, _State())
        if not left_s and state.failures >= self.failures:
            state.trying = True
        return left_s

    def end(self, name: str, *, well: bool | None) -> None:
        """A call that was begun has ended: well, badly, or (None) in a way that says nothing."""
        state = self._states.setdefault(name, _State())
        state.trying = False
        if well is None:
            return
        state.failures = 0 if well else state.failures + 1
        if state.failures >= self.failures:
            state.open_until_s = self.clock() + self.rest_s
