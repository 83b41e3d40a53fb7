"""The gateway's client of the features: one read a turn, and events in, never an exception.

A read that is late, of a store that is down or of somebody unknown gives defaults and says so;
a turn is never held up or failed by it.
"""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from prometheus_client import REGISTRY, CollectorRegistry
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from tastemaker.core.database import Look, in_thread
from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent
from tastemaker.features import signals
from tastemaker.features.config import FeatureConfig
from tastemaker.features.item_facts import ItemFacts
from tastemaker.features.metrics import FeatureMetrics
from tastemaker.features.online import OnlineFeatures
from tastemaker.features.outbox import Opened, Outbox
from tastemaker.features.signals import SessionSignals, Signals

GROUPS = ("user_history", "user_embedding", "session_history")


class FeatureClient:
    """Reads and records; `start` it once, `close` it at the end.

    Args:
        home: Where the features live.
        config: Which online store.
        engine: Database with the log of live events.
        facts: Of the catalogue.
        registry: Of the counters; default: the process's.
    """

    def __init__(
        self,
        home: Home,
        config: FeatureConfig,
        engine: Engine,
        facts: ItemFacts,
        *,
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self.config, self.engine, self.facts, self.registry = config, engine, facts, registry
        self.metrics = FeatureMetrics(registry)
        self.outbox = Outbox(home, config, engine, facts, self.metrics)
        self._reader: OnlineFeatures | None = None  # that was read last, over a network
        self._forgetting = asyncio.Lock()
        self._staleness = Look(engine, self.staleness_s)

    def start(self) -> None:
        """Open the store in the background: Feast takes seconds; until then reads are defaults."""
        self.outbox.start()

    async def read(
        self,
        user_id: str | None,
        session_id: str,
        *,
        deadline_s: float,
        now_ms: int | None = None,
    ) -> Signals:
        """Read everything that a turn needs, once.

        Args:
            user_id: Whose; None for somebody unknown.
            session_id: The conversation.
            deadline_s: Longest wait for a store that is a network away, > 0.
            now_ms: The present; default: now.

        Returns:
            The signals; defaults where the store is down or late, or has no value.
        """
        now_ms = int(time.time() * 1000) if now_ms is None else now_ms
        opened, outcome, row = self.outbox.opened, "down", None
        began = time.perf_counter()
        if opened is not None:
            try:
                row = await self._read(opened, user_id, session_id, now_ms, deadline_s)
                outcome = "ok"
            except TimeoutError:
                # A store's own time-out is a TimeoutError too: then the store is down.
                late = time.perf_counter() - began >= deadline_s
                outcome = "late" if late else "down"
            except Exception:  # whatever a store raises: a turn goes on without it
                outcome = "down"
        self.metrics.read_seconds.observe(time.perf_counter() - began)
        self.metrics.reads.labels(outcome).inc()
        down = outcome == "down" and (opened is not None or self.outbox.awaited())
        found = _signals(user_id, session_id, row or {}, self.facts)
        found = replace(found, late=outcome == "late", down=down)
        for group in found.missing:
            self.metrics.missing.labels(group).inc()
        if found.staleness_s is not None:
            self.metrics.embedding_lag_seconds.observe(found.staleness_s)
        return found

    async def _read(
        self, opened: Opened, user_id: str | None, session_id: str, now_ms: int, deadline_s: float
    ) -> dict[str, Any]:
        """One read, of a store that has its data.

        A read of SQLite waits for no writer and takes a millisecond; to hand it to a thread and
        back takes as long again, and longer while others compute. A store behind a network is
        waited for in the event loop.
        """
        reader = opened.reader
        if self.config.online == "sqlite":
            row = reader.read_turn(user_id, session_id, now_ms)
        else:
            before, self._reader = self._reader, reader
            if before is not None and before is not reader:
                await before.aclose()
            reading = reader.read_turn_async(user_id, session_id, now_ms)
            row = await asyncio.wait_for(reading, deadline_s)
        if not row["tables"]:
            self.outbox.look_now()
            raise LookupError("the online store lost its data")
        return row

    async def record(self, events: Sequence[LiveEvent]) -> bool:
        """Write events to the log, then push them.

        Returns:
            True once they are in the feature store; False where they wait in the log for it.

        Raises:
            DataError: An event that cannot be one; nothing is written.
        """
        ids = await in_thread(self.engine, event_log.append, self.engine, events)
        if not ids:
            return True
        pushed = asyncio.wrap_future(self.outbox.pushed(ids))
        try:
            return await asyncio.wait_for(pushed, self.config.push_wait_s)
        except TimeoutError:
            return False

    def push(self, ids: Sequence[int]) -> None:
        """Push events that are in the log already, soon; returns at once."""
        self.outbox.pushed(ids)

    async def forget(self, user_id: str) -> dict[str, int]:
        """Delete a user's events and features; see `Outbox.forget`."""
        async with self._forgetting:  # one after another anyway, of the database's threads one
            return await in_thread(self.engine, self.outbox.forget, user_id)

    def staleness_s(self) -> float:
        """How far the store is behind the log: age of the oldest waiting event, 0 for none."""
        oldest_ms = event_log.oldest_pending_ms(self.engine)
        return 0.0 if oldest_ms is None else max(0.0, time.time() - oldest_ms / 1000)

    async def measure_staleness(self) -> None:
        """Set the metric; NaN while the database does not say."""
        try:
            staleness_s = await self._staleness.now()
        except (TimeoutError, SQLAlchemyError):
            staleness_s = math.nan
        self.metrics.staleness_seconds.set(staleness_s)

    async def close(self) -> None:
        """Stop; what is pending stays in the log."""
        await asyncio.to_thread(self.outbox.close)
        if self._reader is not None:
            await self._reader.aclose()


def _signals(
    user_id: str | None, session_id: str, row: dict[str, Any], facts: ItemFacts
) -> Signals:
    """A row of the service `assistant` as signals; an empty row is all defaults."""
    present = {
        "user_history": bool(row.get("user_items")),
        "user_embedding": bool(row.get("user_embedding")),
        "session_history": bool(row.get("session_items")),
    }
    history = _events(row, "user", facts)
    names = [f"{action}_{window}" for action in signals.READ for window in signals.WINDOWS_MS]
    embedding, embedding_ms = row.get("user_embedding"), row.get("embedding_ms")
    in_space = row.get("session_space") == facts.space
    return Signals(
        user_id=user_id,
        session_id=session_id,
        history=history,
        user_embedding=np.array(embedding, np.float32) if embedding else None,
        embedding_model=(row.get("embedding_model") or "") if embedding else "",
        counts={name: row.get(name) or 0 for name in names},
        categories=_shares(row, "category"),
        styles=_shares(row, "style"),
        recency_s=row.get("recency_s"),
        session=SessionSignals(
            items=_events(row, "session", facts),
            embedding=np.array(row["session_embedding"], np.float32)
            if in_space and row.get("session_embedding")
            else None,
            intent=row.get("session_intent") or "",
        ),
        missing=tuple(group for group in GROUPS if not present[group]),
        staleness_s=max(0.0, (max(row["user_times"], default=0) - embedding_ms) / 1000)
        if embedding and embedding_ms and row.get("user_times")
        else None,
    )


def _events(row: dict[str, Any], whose: str, facts: ItemFacts) -> tuple[tuple[str, str, int], ...]:
    """Stored events; those of items that the catalogue lost are left out."""
    columns = (row.get(f"{whose}_{name}") or () for name in ("items", "actions", "times"))
    return tuple(event for event in zip(*columns, strict=True) if event[0] in facts.place)


def _shares(row: dict[str, Any], of: str) -> dict[str, float]:
    pairs = zip(row.get(f"{of}_names") or (), row.get(f"{of}_shares") or (), strict=True)
    return dict(pairs)
