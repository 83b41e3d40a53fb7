"""Retries that do no work twice: a request with an Idempotency-Key that was seen before.

A finished turn is found again by its key, also after a restart. A second request that arrives
while the first is at work waits for it, in whichever gateway either is; where the first breaks
off, the second does the work. Who is at work holds a lease in the database and renews it: that of a
gateway that died runs out.
"""

import asyncio
import hashlib
import logging
import time
import uuid
from dataclasses import dataclass, field

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    String,
    Table,
    delete,
    select,
    text,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from tastemaker.core.database import metadata, work
from tastemaker.core.errors import TastemakerError

LEASE_S = 10.0
_LOOK_S = 0.2  # what another gateway has done is seen after so long
_log = logging.getLogger(__name__)

requests_table = Table(
    "idempotent_requests",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("body", String(64), nullable=False),
    Column("turn_id", String(64), nullable=False),
    Column("time_ms", BigInteger, nullable=False),
)
at_work_table = Table(
    "idempotent_requests_at_work",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("body", String(64), nullable=False),
    Column("holder", String(64), nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)
_TAKE = text(
    "INSERT INTO idempotent_requests_at_work (key, body, holder, until_ms) "
    "VALUES (:key, :body, :holder, :until_ms) ON CONFLICT (key) DO UPDATE "
    "SET body = excluded.body, holder = excluded.holder, until_ms = excluded.until_ms "
    "WHERE idempotent_requests_at_work.until_ms < :now_ms"
)
_STORE = text(  # over what a gateway stored that had lost its lease
    "INSERT INTO idempotent_requests (key, body, turn_id, time_ms) "
    "VALUES (:key, :body, :turn_id, :time_ms) ON CONFLICT (key) DO UPDATE "
    "SET body = excluded.body, turn_id = excluded.turn_id, time_ms = excluded.time_ms"
)


class Conflict(TastemakerError, ValueError):
    """A request that contradicts an earlier one."""

    status = 409


@dataclass(frozen=True)
class Claim:
    """The right to do a request's work (`holder`), or the turn that did it (`turn_id`)."""

    key: str
    body: str
    turn_id: str | None = None
    holder: str = ""


@dataclass
class Idempotency:
    """Which requests were answered already, and which are at work.

    Args:
        engine: The operational database; gateways with the same one know of one another's.
        keep_s: Seconds that a key is remembered.
        lease_s: Seconds after which the work of a gateway that says nothing is anybody's, > 0.
    """

    engine: Engine
    keep_s: float = 86_400.0
    lease_s: float = LEASE_S
    _running: dict[str, tuple[str, asyncio.Event]] = field(default_factory=dict)
    _renewing: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _leaving: set[asyncio.Task[None]] = field(default_factory=set)

    async def claim(self, key: str, body: str) -> Claim:
        """Claim a request's work; waits while another request with this key is at work.

        Args:
            key: The caller's name and the key that it sent.
            body: Digest of the request's body.

        Raises:
            Conflict: The key came with another body before.
        """
        hashed = hashlib.sha256(key.encode()).hexdigest()
        while True:
            while (at_work := self._running.get(hashed)) is not None:
                self._same(at_work[0], body)
                await at_work[1].wait()
            self._running[hashed] = (body, asyncio.Event())
            claim: Claim | None = None
            try:
                claim = await work(self.engine, self._take, hashed, body)
            finally:
                if claim is None or claim.turn_id is not None:  # no work for us
                    self._done(hashed)
            if claim is None:
                await asyncio.sleep(_LOOK_S)
                continue
            if claim.turn_id is None:
                self._renewing[claim.holder] = asyncio.ensure_future(self._renew(claim))
            return claim

    def finish(self, claim: Claim, turn_id: str) -> None:
        """The work of a claim is done and stored; may be called from any thread."""
        now_ms = _now_ms()
        oldest_ms = now_ms - int(self.keep_s * 1000)
        done, held = requests_table, at_work_table
        row = {"key": claim.key, "body": claim.body, "turn_id": turn_id, "time_ms": now_ms}
        with self.engine.begin() as connection:  # both at once: whoever looks finds one of them
            connection.execute(delete(done).where(done.c.time_ms < oldest_ms))
            connection.execute(_STORE, row)
            own = (held.c.holder == claim.holder) | (held.c.until_ms < oldest_ms)
            connection.execute(delete(held).where(own))

    def release(self, claim: Claim) -> None:
        """Let requests with this key go on: to what was done, else to do it themselves."""
        renewing = self._renewing.pop(claim.holder, None)
        if renewing is None:
            return
        renewing.cancel()
        leaving = asyncio.ensure_future(self._leave(claim))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _take(self, key: str, body: str) -> Claim | None:
        """The work or what was done; None while somebody else is at work."""
        now_ms, holder = _now_ms(), uuid.uuid4().hex
        until_ms = now_ms + int(self.lease_s * 1000)
        lease = {"key": key, "body": body, "holder": holder, "until_ms": until_ms}
        done, held = requests_table, at_work_table
        fresh = done.c.time_ms >= now_ms - int(self.keep_s * 1000)
        with self.engine.connect() as connection:  # without a commit nothing is changed
            taken = connection.execute(_TAKE, {**lease, "now_ms": now_ms}).rowcount
            row = connection.execute(  # after the lease: whoever gave it up has stored this
                select(done).where(done.c.key == key).where(fresh)
            ).one_or_none()
            if row is not None:
                self._same(row.body, body)
                return Claim(key, body, row.turn_id)
            if taken:
                connection.commit()
                return Claim(key, body, holder=holder)
            other = connection.execute(select(held.c.body).where(held.c.key == key)).scalar()
            self._same(body if other is None else other, body)
            return None

    async def _renew(self, claim: Claim) -> None:
        while True:
            await asyncio.sleep(self.lease_s / 4)
            try:
                await work(self.engine, self._prolong, claim)
            except SQLAlchemyError as error:  # the next time, then
                _log.warning("a request at work could not be told to others: %s", error)

    def _prolong(self, claim: Claim) -> None:
        held = at_work_table
        until_ms = _now_ms() + int(self.lease_s * 1000)
        with self.engine.begin() as connection:
            own = update(held).where(held.c.holder == claim.holder)
            connection.execute(own.values(until_ms=until_ms))

    async def _leave(self, claim: Claim) -> None:
        try:
            await work(self.engine, self._give_up, claim)
        except SQLAlchemyError as error:
            _log.warning("a request's lease stays until it runs out: %s", error)
        finally:
            self._done(claim.key)

    def _give_up(self, claim: Claim) -> None:
        with self.engine.begin() as connection:
            own = at_work_table.c.holder == claim.holder
            connection.execute(delete(at_work_table).where(own))

    def _done(self, key: str) -> None:
        """Wake those who wait here."""
        self._running.pop(key)[1].set()

    @staticmethod
    def _same(held: str, body: str) -> None:
        if held != body:
            raise Conflict("Idempotency-Key: this key was used for another request before")


def _now_ms() -> int:
    return int(time.time() * 1000)
