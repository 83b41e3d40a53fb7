"""Which bundle answered which request: noted as replies come, kept with the turn's record.

A reply says it in a header, written by the proxy here and by the model server itself on a
cluster. Requests are made in tasks of their own, so whoever wants to know opens `noting` around
them; what is noted inside of it belongs to it, in whatever task.
"""

import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import MappingProxyType

from tastemaker.promotion.bundle import BUNDLE_HEADER, FAILED_HEADER

_DIGEST = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Called:
    """One request to a model server.

    Attributes:
        model: encoder, retrieval, recommender or router.
        bundle: That answered; empty where nobody said so (no answer in time, say).
        ms: Milliseconds until its reply or its fault.
        ok: False where the server failed: no reply in time, none at all, or a status of 5xx.
    """

    model: str
    bundle: str
    ms: float
    ok: bool

    def body(self) -> dict[str, str | float | bool]:
        """As the turn's record holds it."""
        return {"model": self.model, "bundle": self.bundle, "ms": self.ms, "ok": self.ok}


_NOTED: ContextVar[list[Called] | None] = ContextVar("noted", default=None)


@contextmanager
def noting(whole: list[Called]) -> Iterator[list[Called]]:
    """Note the requests made in this block.

    Args:
        whole: Gets them at the end of the block, however it ends: the turn's.

    Yields:
        Those of this block, in the order of their end.
    """
    noted: list[Called] = []
    token = _NOTED.set(noted)
    try:
        yield noted
    finally:
        _NOTED.reset(token)
        whole += noted


def note(
    model: str, start_s: float, status: int = 0, headers: Mapping[str, str] = MappingProxyType({})
) -> None:
    """A request has ended; one that was given up says nothing and is not noted.

    Args:
        model: Who was asked.
        start_s: When, on the monotonic clock.
        status: Of the reply; 0 for none.
        headers: Of the reply, names in lower case.
    """
    noted = _NOTED.get()
    if noted is None:
        return
    ms = round((time.monotonic() - start_s) * 1000, 1)
    if failed := _digest(headers.get(FAILED_HEADER, "")):
        noted.append(Called(model, failed, ms, False))
    noted.append(Called(model, _digest(headers.get(BUNDLE_HEADER, "")), ms, 0 < status < 500))


def bundles(calls: Iterable[Called]) -> dict[str, tuple[str, ...]]:
    """By model, the bundles that answered, in the order of their first answer."""
    found: dict[str, tuple[str, ...]] = {}
    for call in calls:
        before = found.get(call.model, ())
        if call.bundle and call.bundle not in before:
            found[call.model] = (*before, call.bundle)
    return found


def _digest(said: str) -> str:
    """What a header says, where it is a bundle's digest."""
    return said if _DIGEST.fullmatch(said) else ""
