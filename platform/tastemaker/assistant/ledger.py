"""The cost ledger: each request to a router member, each tool, each embedding, with its price."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Float,
    Integer,
    String,
    Table,
    func,
    insert,
    select,
    update,
)

from tastemaker.assistant.prices import FREE, Prices
from tastemaker.core.database import metadata
from tastemaker.core.errors import ConfigError
from tastemaker.core.statements import Direct, Statement, writing

Kind = Literal["router", "tool", "embedding"]
DAY_MS = 24 * 3600 * 1000

ledger = Table(
    "ledger",
    metadata,
    Column("entry_id", Integer, primary_key=True),
    Column("turn_id", String(64), nullable=False, index=True),
    Column("conversation_id", String(64), nullable=False),
    Column("caller", String(128), nullable=False),
    Column("user_id", String(256), nullable=True, index=True),
    Column("time_ms", BigInteger, nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("name", String(128), nullable=False),  # of the tool, the step or `shadow`
    Column("member", String(64), nullable=False),  # of the router family, empty for others
    Column("outcome", String(16), nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False),
    Column("ms", Float, nullable=False),
    Column("compute_s", Float, nullable=False),
    Column("cents", Float, nullable=False),
    Column("price", String(64), nullable=False),  # id in the price list
)
_GROUPS = ("kind", "name", "member", "outcome", "caller", "user_id", "conversation_id", "price")
_SUMS = ("prompt_tokens", "completion_tokens", "cached_tokens", "ms", "compute_s", "cents")


@dataclass(frozen=True)
class Entry:
    """One line of the ledger; the fields are the table's columns."""

    turn_id: str
    kind: Kind
    name: str
    price: str
    time_ms: int
    conversation_id: str = ""
    caller: str = ""
    user_id: str | None = None
    member: str = ""
    outcome: str = "ok"
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    ms: float = 0.0
    compute_s: float = 0.0
    cents: float = 0.0


_WRITE = Statement(insert(ledger).inline(), [field.name for field in fields(Entry)])


@dataclass(frozen=True)
class Attempt:
    """One request to one router member.

    Attributes:
        member: Its name.
        price: Id of its price.
        outcome: ok, overtaken (another one was faster), left (the caller went away), or the kind
            of its fault.
        ms: Milliseconds until its reply, its fault or the other's reply.
        prompt_tokens: As it counts them; for a request without a reply, which is billed all the
            same, an estimate of what was sent.
        completion_tokens: As it counts them.
        cached_tokens: Of the prompt's.
        compute_s: Core seconds of our own machines, 0 for others'.
        cents: What it cost.
    """

    member: str
    price: str
    outcome: str
    ms: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    compute_s: float = 0.0
    cents: float = 0.0


class Ledger:
    """Entries in the operational database.

    Args:
        engine: The database; safe to use from several threads.
        prices: The price list.
    """

    def __init__(self, engine: Engine, prices: Prices) -> None:
        self.engine, self.prices = engine, prices

    def entry(
        self,
        turn_id: str,
        kind: Kind,
        name: str,
        *,
        price: str = FREE,
        ms: float = 0.0,
        compute_s: float | None = None,
        extra_cents: float = 0.0,
        **who: Any,
    ) -> Entry:
        """A line for a tool call or an embedding, with its price.

        Args:
            turn_id: The turn that it belongs to.
            kind: router, tool or embedding.
            name: Of the tool.
            price: Id in the price list.
            ms: Milliseconds that it took.
            compute_s: Core seconds where they were measured, None for the price list's own.
            extra_cents: What a tool charges besides, for example one that an operator added.
            who: `conversation_id`, `caller`, `user_id`, `outcome`.

        Raises:
            NotFound: A price id that the list does not hold.
        """
        charge = self.prices.charge(price, compute_s=compute_s)
        return Entry(
            turn_id=turn_id,
            kind=kind,
            name=name,
            price=price,
            time_ms=_now_ms(),
            ms=ms,
            compute_s=charge.compute_s,
            cents=charge.cents + extra_cents,
            **who,
        )

    def attempts(
        self, turn_id: str, attempts: Iterable[Attempt], *, name: str = "step", **who: Any
    ) -> list[Entry]:
        """Lines for the requests of a router step.

        Args:
            turn_id: The turn that they belong to.
            attempts: All of the step's, failed and overtaken ones too.
            name: What they were for.
            who: `conversation_id`, `caller`, `user_id`.
        """
        now_ms = _now_ms()
        return [
            Entry(
                turn_id=turn_id,
                kind="router",
                name=name,
                time_ms=now_ms,
                **vars(a),
                **who,
            )
            for a in attempts
        ]

    def record_turn(self, entries: Sequence[Entry]) -> None:
        """Store a turn's lines, all or none."""
        with writing(self.engine) as direct:
            self.add(direct, entries)

    def add(self, direct: Direct, entries: Sequence[Entry]) -> None:
        """Store lines as part of a transaction."""
        if entries:
            direct.run_many(_WRITE, [vars(entry) for entry in entries])

    def summary(self, since_ms: int = 0, *, by: str = "member") -> list[dict[str, Any]]:
        """Sums of entries, the dearest group first.

        Args:
            since_ms: From this time on, ms since 1970 UTC.
            by: kind, name, member, outcome, caller, user_id, conversation_id, price or day.

        Returns:
            For each group: `by`'s value, `entries`, `turns` and the sums of tokens, ms,
            compute_s and cents; a day is its first millisecond.

        Raises:
            ConfigError: No such grouping.
        """
        if by not in (*_GROUPS, "day"):
            raise ConfigError(f"by={by!r}: groups are {', '.join((*_GROUPS, 'day'))}")
        column = ledger.c.time_ms - ledger.c.time_ms % DAY_MS if by == "day" else ledger.c[by]
        group = column.label("grouped")  # a name that is no column's, in any database
        query = (
            select(
                group,
                func.count().label("entries"),
                func.count(ledger.c.turn_id.distinct()).label("turns"),
                *(func.sum(ledger.c[name]).label(name) for name in _SUMS),
            )
            .where(ledger.c.time_ms >= since_ms)
            .group_by(group)
        )
        with self.engine.connect() as connection:
            rows = [dict(row) for row in connection.execute(query).mappings()]
        rows = [{by: row.pop("grouped"), **row} for row in rows]
        return sorted(rows, key=lambda row: (-row["cents"], str(row[by])))

    def of_turn(self, turn_id: str) -> list[dict[str, Any]]:
        """A turn's lines, in the order of their recording."""
        query = select(ledger).where(ledger.c.turn_id == turn_id).order_by(ledger.c.entry_id)
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def spent_cents(self, caller: str, since_ms: int) -> float:
        """What a caller's turns cost since a time, ms since 1970 UTC."""
        query = select(func.sum(ledger.c.cents)).where(
            ledger.c.caller == caller, ledger.c.time_ms >= since_ms
        )
        with self.engine.connect() as connection:
            return float(connection.scalar(query) or 0.0)

    def forget_user(self, user_id: str) -> int:
        """Take a user's id and conversations out of the ledger; the money stays.

        Returns:
            Lines changed.
        """
        mine = update(ledger).where(ledger.c.user_id == user_id)
        with self.engine.begin() as connection:
            return connection.execute(mine.values(user_id=None, conversation_id="")).rowcount


def _now_ms() -> int:
    return int(time.time() * 1000)
