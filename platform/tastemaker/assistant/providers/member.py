"""A member of the router family, and what one request to it took."""

from collections.abc import Sequence
from dataclasses import dataclass

from tastemaker.assistant.ledger import Attempt
from tastemaker.assistant.prices import Prices
from tastemaker.assistant.providers.backend import Backend
from tastemaker.assistant.providers.health import Health
from tastemaker.assistant.providers.request import RouterReply
from tastemaker.assistant.providers.settings import MemberConfig


@dataclass(frozen=True)
class Routed:
    """The reply that counts, and what it took.

    Attributes:
        reply: The reply.
        member: Who gave it.
        attempts: All requests made for it, in the order of their end.
    """

    reply: RouterReply
    member: str
    attempts: Sequence[Attempt]

    @property
    def cents(self) -> float:
        """Of all attempts."""
        return sum(attempt.cents for attempt in self.attempts)


@dataclass(frozen=True)
class Member:
    """A back end with its settings, its health and the price list."""

    backend: Backend
    config: MemberConfig
    health: Health
    prices: Prices

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        return self.config.name

    @property
    def expected_cents(self) -> float:
        """Of one request: as measured, else of 2,000 tokens read and 40 written."""
        if self.health.cents is not None:
            return self.health.cents
        return self.prices.charge(self.config.price, 2000, 40).cents

    def attempt(self, outcome: str, ms: float, reply: RouterReply | None) -> Attempt:
        """An attempt with its price."""
        price = self.config.price
        if reply is None:
            return Attempt(self.name, price, outcome, ms)
        tokens = (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens)
        charge = self.prices.charge(price, *tokens)
        return Attempt(self.name, price, outcome, ms, *tokens, charge.compute_s, charge.cents)
