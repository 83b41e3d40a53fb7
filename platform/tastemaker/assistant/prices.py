"""The dated price list: third-party models by the token, our own services by the core second."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator, Field

from tastemaker.core import digests
from tastemaker.core.config import Config, parse
from tastemaker.core.errors import ConfigError, NotFound

LIST = Path(__file__).parent / "prices.yaml"
FREE = "free"  # the price id of what costs nothing, a script for example

_CENTS = 100


def _https(url: str) -> str:
    if not url.startswith("https://"):
        raise ValueError(f"a source is an https:// page, got {url!r}")
    return url


class Sourced(Config):
    """Where a price comes from."""

    read: date  # when we read the page
    page_date: date | None  # the page's own, null where it gives none
    source: Annotated[str, AfterValidator(_https)]
    note: str = ""


class ModelPrice(Sourced):
    """A third-party model, US dollars per million tokens."""

    input: float = Field(ge=0)
    cached_input: float | None = Field(ge=0)  # None: charged as input
    output: float = Field(ge=0)


class MachinePrice(Sourced):
    """A machine, US dollars per hour for all of its cores (or its one GPU)."""

    hourly: float = Field(ge=0)
    cores: int = Field(ge=1)


class OwnPrice(Config):
    """A service of ours: what a request takes in core seconds, and on what machine."""

    machine: str
    busy_frac: float = Field(gt=0, le=1)  # of the paid core time that does work
    s_per_1k_prompt_tokens: float = Field(default=0.0, ge=0)
    s_per_1k_completion_tokens: float = Field(default=0.0, ge=0)
    s_per_call: float = Field(default=0.0, ge=0)
    measured: date
    source: str  # the command that measures it
    note: str = ""


class PriceList(Config):
    """The file's content."""

    models: dict[str, ModelPrice]
    machines: dict[str, MachinePrice]
    own: dict[str, OwnPrice]


@dataclass(frozen=True)
class Charge:
    """What a request costs: core seconds of our machines, and cents."""

    compute_s: float
    cents: float


class Prices:
    """Turns tokens and core seconds into cents.

    Args:
        listed: The price list.
    """

    def __init__(self, listed: PriceList) -> None:
        self.listed = listed

    @classmethod
    def read(cls, path: Path = LIST) -> "Prices":
        """Read a price list.

        Raises:
            ConfigError: A file that is none, an entry without a source or date, a negative price,
                or a service on a machine that is not listed.
        """
        try:
            values = yaml.safe_load(path.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"price list {path}: {error}") from None
        if not isinstance(values, dict):
            raise ConfigError(f"price list {path}: holds no mapping")
        listed = parse(PriceList, values, where=f"price list {path}")
        for name, own in listed.own.items():
            if own.machine not in listed.machines:
                raise ConfigError(f"price list {path}: {name} is on {own.machine!r}, not listed")
        return cls(listed)

    @cached_property
    def version(self) -> str:
        """Digest of the list."""
        return digests.of_json(self.listed.model_dump(mode="json"))

    def check(self, price: str) -> None:
        """Refuse an unknown price id.

        Raises:
            NotFound: With the ids that there are.
        """
        known = [*self.listed.models, *self.listed.own, FREE]
        if price not in known:
            raise NotFound(f"no price {price!r}; the price list has: {', '.join(sorted(known))}")

    def charge(
        self,
        price: str,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        cached_tokens: int = 0,
        *,
        compute_s: float | None = None,
    ) -> Charge:
        """What one request costs.

        Args:
            price: A model's id, a service's of ours, or `free`.
            prompt_tokens: Tokens read, cached ones included.
            completion_tokens: Tokens written.
            cached_tokens: Of the prompt's, those from a cache.
            compute_s: Core seconds, where they were measured for this very request; a service of
                ours is otherwise charged as the price list says.

        Raises:
            NotFound: An id that the price list does not hold.
        """
        self.check(price)
        if price in self.listed.models:
            return Charge(
                0.0, self._model_cents(price, prompt_tokens, completion_tokens, cached_tokens)
            )
        if price == FREE:
            return Charge(0.0, 0.0)
        own = self.listed.own[price]
        if compute_s is None:
            by_prompt = (prompt_tokens - cached_tokens) / 1000 * own.s_per_1k_prompt_tokens
            by_completion = completion_tokens / 1000 * own.s_per_1k_completion_tokens
            compute_s = by_prompt + by_completion + own.s_per_call
        return Charge(compute_s, self.core_cents(own.machine, compute_s, own.busy_frac))

    def core_cents(self, machine: str, core_s: float, busy_frac: float) -> float:
        """Cents of core seconds on a machine whose cores are busy for a share of the time."""
        listed = self.listed.machines[machine]
        return core_s / (listed.cores * busy_frac) * listed.hourly / 3600 * _CENTS

    def _model_cents(self, name: str, prompt: int, completion: int, cached: int) -> float:
        price = self.listed.models[name]
        cached_price = price.input if price.cached_input is None else price.cached_input
        dollars = (prompt - cached) * price.input + cached * cached_price
        return (dollars + completion * price.output) / 1e6 * _CENTS
