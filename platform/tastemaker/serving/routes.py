"""Which backend answers a request: the versions of one server and their shares.

Shares are kept by count, not by chance (smooth weighted round robin): of any 100 requests in a row,
a canary of weight 10 gets 10.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Backend(Protocol):
    """One version of a server, as a process that may be up or not."""

    in_flight: int  # requests that it has not answered yet

    @property
    def bundle(self) -> str:
        """What it serves; "" where that is not one bundle."""

    @property
    def repeatable(self) -> bool:
        """Whether a request that it never answered may be sent again, POST included."""

    @property
    def url(self) -> str:
        """Address without a path."""

    @property
    def accepts(self) -> bool:
        """Whether it can be given a request now."""


@dataclass
class _Share:
    backend: Backend
    weight: int
    credit: int = 0


class Route:
    """The backends of one name.

    Args:
        name: Of the server, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._shares: list[_Share] = []

    @property
    def backends(self) -> list[Backend]:
        """All of them, up or not."""
        return [share.backend for share in self._shares]

    def lead_to(self, weighted: Sequence[tuple[Backend, int]]) -> None:
        """Replace the backends at once; requests that have one already stay with it.

        Args:
            weighted: Backends with their shares, >= 0; they need not add up to 100.
        """
        self._shares = [_Share(backend, weight) for backend, weight in weighted]

    def pick(self, other_than: Backend | None = None) -> Backend | None:
        """The backend of the next request; None where none is up.

        Args:
            other_than: One that just failed; it is picked again only if it is alone.
        """
        up = [share for share in self._shares if share.backend.accepts]
        others = [share for share in up if share.backend is not other_than]
        chosen = others or up
        if not chosen:
            return None
        # A share of 0 gets nothing while another is up, and everything where it is alone.
        total = sum(share.weight for share in chosen)
        if total == 0:
            return chosen[0].backend
        for share in chosen:
            share.credit += share.weight
        best = max(chosen, key=lambda share: share.credit)
        best.credit -= total
        return best.backend
