"""What a caller may use up: requests a minute and cents a UTC day.

The rate is a token bucket in this process's memory. What was spent is kept in the database, so
that a restart does not give the day's money again; memory holds a copy of it for the hot path.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import Lock

from sqlalchemy import Column, Engine, Float, String, Table, bindparam, select, text

from tastemaker.assistant.errors import TooMany
from tastemaker.assistant.identity import Caller
from tastemaker.core.database import metadata, work
from tastemaker.core.statements import Direct, Statement, reading

COPY_S = 10.0  # what other processes spent is seen after so long
_MINUTE_S = 60.0
_DAY_S = 86_400
_MAX_HELD = 10_000  # callers, before the idle ones are dropped

spend_table = Table(
    "spend",
    metadata,
    Column("caller", String(300), primary_key=True),
    Column("day", String(10), primary_key=True),  # 2026-11-24, UTC
    Column("cents", Float, nullable=False),
)
_SPENT = Statement(
    select(spend_table.c.cents)
    .where(spend_table.c.caller == bindparam("name"))
    .where(spend_table.c.day == bindparam("today"))
)
_RAISE = Statement(  # the day's first charge inserts the row, perhaps beside another process
    text(
        "INSERT INTO spend (caller, day, cents) VALUES (:name, :today, :more) "
        "ON CONFLICT (caller, day) DO UPDATE SET cents = spend.cents + excluded.cents "
        "RETURNING cents"
    ).columns(cents=Float)
)


@dataclass
class _Bucket:
    """Requests that a caller may still send, as of a time (seconds)."""

    tokens: float
    at_s: float


@dataclass(frozen=True)
class Spent:
    """Cents that the database held for a caller and a day, as of a time (seconds)."""

    name: str
    day: str
    cents: float
    at_s: float


@dataclass
class Limits:
    """Counts what callers use up; safe to share between threads.

    Args:
        engine: The operational database.
        clock: Seconds since 1970.
    """

    engine: Engine
    clock: Callable[[], float] = time.time
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _spent: dict[str, Spent] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    async def check_spend(self, caller: Caller) -> float:
        """Refuse a caller whose money is gone.

        What is free does not ask this: nobody has to pay to see or delete their data.

        Returns:
            Cents that are left of today's, as `remaining` gives them.

        Raises:
            TooMany: The day's cents are used up.
        """
        if (left := await self.remaining(caller)) <= 0:
            until_s = _DAY_S - self.clock() % _DAY_S
            spent = f"{caller.cents_per_day - left:.2f} of {caller.cents_per_day:g} cents"
            raise TooMany(f"{spent} of this UTC day are spent", retry_after_s=until_s)
        return left

    def check_rate(self, caller: Caller) -> None:
        """Count one request, or refuse it.

        Raises:
            TooMany: The minute's requests are used up.
        """
        now_s, per_minute = self.clock(), caller.requests_per_minute
        with self._lock:
            bucket = self._buckets.get(caller.name)
            if bucket is None:
                self._drop_idle(now_s)
                bucket = self._buckets[caller.name] = _Bucket(per_minute, now_s)
            gained = max(0.0, now_s - bucket.at_s) * per_minute / _MINUTE_S
            bucket.tokens, bucket.at_s = min(per_minute, bucket.tokens + gained), now_s
            if bucket.tokens < 1:
                wait_s = (1 - bucket.tokens) * _MINUTE_S / per_minute
                raise TooMany(f"more than {per_minute} requests a minute", retry_after_s=wait_s)
            bucket.tokens -= 1

    async def remaining(self, caller: Caller) -> float:
        """Cents that a caller may still spend today; infinite without a limit.

        Give it to a turn as its budget: requests that run at the same time were all let in while
        there was money, and only their budgets bound what they spend together.
        """
        if math.isinf(caller.cents_per_day):
            return math.inf
        now_s, day = self._now()
        held = self._spent.get(caller.name)
        if held is None or held.day != day or now_s - held.at_s >= COPY_S:
            held = await work(self.engine, self._read, caller.name, day, now_s)
        return caller.cents_per_day - held.cents

    def charge(self, direct: Direct, name: str, cents: float) -> Spent:
        """Add to what a caller spent today, as part of a transaction.

        Args:
            direct: The transaction; after it, `keep` what this returns.
            name: Of the caller.
            cents: How much, >= 0.

        Raises:
            ValueError: A negative or an infinite amount.
        """
        if not 0 <= cents < math.inf:
            raise ValueError(f"cents={cents}: must be >= 0 and finite")
        now_s, day = self._now()
        raised = direct.one(_RAISE, {"name": name, "today": day, "more": cents})
        return Spent(name, day, float(raised.cents), now_s)

    def keep(self, spent: Spent) -> Spent:
        """Remember what the database held; what is spent only grows, so the larger is newer."""
        name = spent.name
        with self._lock:
            held = self._spent.get(name)
            if held is not None and held.day == spent.day:
                spent = replace(spent, cents=max(held.cents, spent.cents))
            self._spent[name] = spent
            return spent

    def _read(self, name: str, day: str, now_s: float) -> Spent:
        with reading(self.engine) as direct:
            found = direct.one(_SPENT, {"name": name, "today": day})
        return self.keep(Spent(name, day, 0.0 if found is None else float(found.cents), now_s))

    def _now(self) -> tuple[float, str]:
        now_s = self.clock()
        return now_s, f"{datetime.fromtimestamp(now_s, UTC):%Y-%m-%d}"

    def _drop_idle(self, now_s: float) -> None:
        """Forget callers that sent nothing for a minute: their buckets are full again."""
        if len(self._buckets) < _MAX_HELD:
            return
        idle = [name for name, held in self._buckets.items() if now_s - held.at_s >= _MINUTE_S]
        for name in idle:
            self._buckets.pop(name, None)
            self._spent.pop(name, None)
