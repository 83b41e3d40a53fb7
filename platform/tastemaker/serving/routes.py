"""Which backend answers a request: the versions of one server and their shares.

Shares are kept by count: of each 100 requests, a canary of weight 10 gets 10. Which of them it gets
is drawn (permuted blocks, the smallest that hold the shares whole). In a fixed order the canary
could get every second request of a turn and never a first one, and what the judge of canaries
compares would differ by the place in the turn, not by the bundle.
"""

import math
import random
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


@dataclass(eq=False)
class _Share:
    backend: Backend
    weight: int


class Route:
    """The backends of one name.

    Args:
        name: Of the server, for messages.
        draw: Draws the order of shares; default: by chance.
    """

    def __init__(self, name: str, draw: random.Random | None = None) -> None:
        self.name = name
        self._shares: list[_Share] = []
        self._draw = draw or random.Random()
        self._block: list[_Share] = []  # of shares that are still to be served, the next one last

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
        self._block = []

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
        if not any(share.weight for share in chosen):
            return chosen[0].backend
        while True:
            if not self._block:
                self._deal()
            share = self._block.pop()  # one that cannot be chosen now loses its turn
            if share in chosen:
                return share.backend

    def _deal(self) -> None:
        """The next block: each share as often as its weight says, in an order by chance."""
        whole = math.gcd(*(share.weight for share in self._shares))
        self._block = [s for s in self._shares for _ in range(s.weight // whole)]
        self._draw.shuffle(self._block)
