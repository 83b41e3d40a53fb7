"""Retries that do no work twice: a request with an Idempotency-Key that was seen before.

A finished turn is found again by its key, also after a restart. A second request that arrives
while the first is at work waits for it; where the first breaks off, the second does the work.
"""

import asyncio
import hashlib
import time
from dataclasses import dataclass, field

from sqlalchemy import BigInteger, Column, Engine, String, Table, delete, insert, select

from tastemaker.core.database import metadata
from tastemaker.core.errors import TastemakerError

requests_table = Table(
    "idempotent_requests",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("body", String(64), nullable=False),
    Column("turn_id", String(64), nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)


class Conflict(TastemakerError, ValueError):
    """A request that contradicts an earlier one."""

    status = 409


@dataclass(frozen=True)
class Claim:
    """The right to do a request's work, or the turn that did it (`turn_id`)."""

    key: str
    body: str
    turn_id: str | None = None


@dataclass
class Idempotency:
    """Which requests were answered already.

    Args:
        engine: The operational database.
        keep_s: Seconds that a key is remembered.
    """

    engine: Engine
    keep_s: float = 86_400.0
    _running: dict[str, tuple[str, asyncio.Event]] = field(default_factory=dict)

    async def claim(self, key: str, body: str) -> Claim:
        """Claim a request's work; waits while another request with this key is at work.

        Args:
            key: The caller's name and the key that it sent.
            body: Digest of the request's body.

        Raises:
            Conflict: The key came with another body before.
        """
        hashed = hashlib.sha256(key.encode()).hexdigest()
        while (at_work := self._running.get(hashed)) is not None:
            self._same(at_work[0], body)
            await at_work[1].wait()
        oldest_ms = int((time.time() - self.keep_s) * 1000)
        with self.engine.connect() as connection:
            row = connection.execute(
                select(requests_table)
                .where(requests_table.c.key == hashed)
                .where(requests_table.c.time_ms >= oldest_ms)
            ).one_or_none()
        if row is not None:
            self._same(row.body, body)
            return Claim(hashed, body, row.turn_id)
        self._running[hashed] = (body, asyncio.Event())
        return Claim(hashed, body)

    def finish(self, claim: Claim, turn_id: str) -> None:
        """The work of a claim is done and stored; may be called from any thread."""
        now_ms = int(time.time() * 1000)
        oldest_ms = now_ms - int(self.keep_s * 1000)
        with self.engine.begin() as connection:
            table = requests_table
            gone = (table.c.key == claim.key) | (table.c.time_ms < oldest_ms)
            connection.execute(delete(table).where(gone))
            row = {"key": claim.key, "body": claim.body, "turn_id": turn_id, "time_ms": now_ms}
            connection.execute(insert(table).values(**row))

    def release(self, claim: Claim) -> None:
        """Let requests with this key go on: to what was done, else to do it themselves."""
        at_work = self._running.pop(claim.key, None)
        if at_work is not None:
            at_work[1].set()

    @staticmethod
    def _same(held: str, body: str) -> None:
        if held != body:
            raise Conflict("Idempotency-Key: this key was used for another request before")
