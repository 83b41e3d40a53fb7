"""A copy of some requests to a second member, off the path: what would it have done?

Only what is compared is kept: same tool, same arguments, milliseconds and cents. No words.
"""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Boolean, Column, Float, Integer, String, Table, func, select
from sqlalchemy.types import BigInteger

from tastemaker.assistant.ledger import Attempt, Ledger
from tastemaker.assistant.providers import counters
from tastemaker.assistant.providers.backend import BackendFault
from tastemaker.assistant.providers.member import Member, Routed
from tastemaker.assistant.providers.request import RouterReply, RouterRequest
from tastemaker.assistant.providers.settings import ShadowConfig
from tastemaker.core.database import in_thread, metadata

shadow_comparisons = Table(
    "shadow_comparisons",
    metadata,
    Column("comparison_id", Integer, primary_key=True),
    Column("time_ms", BigInteger, nullable=False, index=True),
    Column("primary_member", String(64), nullable=False),
    Column("shadow_member", String(64), nullable=False),
    Column("outcome", String(16), nullable=False),  # ok or the kind of the shadow's fault
    Column("same_tool", Boolean, nullable=False),
    Column("same_arguments", Boolean, nullable=False),
    Column("primary_ms", Float, nullable=False),
    Column("shadow_ms", Float, nullable=False),
    Column("primary_cents", Float, nullable=False),
    Column("shadow_cents", Float, nullable=False),
)


class Shadow:
    """Asks a second member what a first one was asked.

    Args:
        member: The second one.
        config: How often.
        ledger: Keeps comparisons and what they cost.
        seed: Of the draw.
    """

    def __init__(
        self, member: Member, config: ShadowConfig, ledger: Ledger, *, seed: int | None = None
    ) -> None:
        self.member, self.config, self.ledger = member, config, ledger
        self._rng = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()

    def maybe(self, request: RouterRequest, routed: Routed) -> None:
        """Start a copy of a request, for the share of them that is drawn; returns at once."""
        name = self.member.name
        if routed.member == name or self._rng.random() >= self.config.frac:
            return
        if len(self._tasks) >= self.config.max_at_once or not self.member.health.admits():
            counters.SHADOWS.labels(name, "left out").inc()
            return
        task = asyncio.create_task(self._copy(request, routed))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait for the copies under way."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Give up the copies under way."""
        for task in self._tasks:
            task.cancel()
        await self.settle()

    async def _copy(self, request: RouterRequest, routed: Routed) -> None:
        health, start = self.member.health, time.monotonic()
        health.begin()
        reply, outcome = None, "ok"
        try:
            timeout_s = self.member.config.timeout_s
            reply = await self.member.backend.complete(request, timeout_s=timeout_s)
        except BackendFault as fault:
            outcome = fault.kind
            health.failed(retry_after_s=fault.retry_after_s)
        except BaseException:
            health.dropped()
            raise
        attempt = self.member.attempt(outcome, (time.monotonic() - start) * 1000, reply)
        if reply is not None:
            health.succeeded(attempt.ms, attempt.cents)
        same = compare(routed.reply, reply)
        counters.SHADOWS.labels(self.member.name, outcome if reply is None else _said(same)).inc()
        await in_thread(self.ledger.engine, self._record, routed, attempt, same)

    def _record(self, routed: Routed, attempt: Attempt, same: tuple[bool, bool]) -> None:
        won = next(a for a in reversed(routed.attempts) if a.member == routed.member)
        now_ms = int(time.time() * 1000)
        with self.ledger.engine.begin() as connection:
            connection.execute(
                shadow_comparisons.insert().values(
                    time_ms=now_ms,
                    primary_member=routed.member,
                    shadow_member=attempt.member,
                    outcome=attempt.outcome,
                    same_tool=same[0],
                    same_arguments=same[1],
                    primary_ms=won.ms,
                    shadow_ms=attempt.ms,
                    primary_cents=won.cents,
                    shadow_cents=attempt.cents,
                )
            )
        self.ledger.record_turn(self.ledger.attempts("", [attempt], name="shadow"))

    def summary(self, since_ms: int = 0) -> dict[str, float]:
        """Share of copies with the same tool and the same arguments, mean times and costs."""
        t = shadow_comparisons.c
        ok = t.outcome == "ok"
        same = {"same_tool": t.same_tool, "same_arguments": t.same_arguments}
        with self.ledger.engine.connect() as connection:
            asked = select(func.count()).where(t.time_ms >= since_ms)
            found: dict[str, float] = {"num": connection.scalar(asked) or 0}
            found["num_ok"] = connection.scalar(asked.where(ok)) or 0
            for name, column in same.items():
                count = connection.scalar(asked.where(ok, column)) or 0
                found[f"{name}_frac"] = count / max(found["num_ok"], 1)
            for name in ("primary_ms", "shadow_ms", "primary_cents", "shadow_cents"):
                mean = select(func.avg(t[name])).where(t.time_ms >= since_ms, ok)
                found[f"mean_{name}"] = float(connection.scalar(mean) or 0.0)
        return found


def compare(one: RouterReply, other: RouterReply | None) -> tuple[bool, bool]:
    """Whether two replies call the same tools, and with the same arguments."""
    if other is None:
        return False, False
    ours, theirs = _calls(one.message), _calls(other.message)
    same_tool = [name for name, _ in ours] == [name for name, _ in theirs]
    return same_tool, same_tool and ours == theirs


def _calls(message: Mapping[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for call in message.get("tool_calls") or []:
        arguments = call["function"]["arguments"]
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments)
            except (ValueError, RecursionError):
                arguments = None  # the primary's readable fault
        found.append((str(call["function"]["name"]), arguments))
    return found or [("", message.get("content"))]


def _said(same: tuple[bool, bool]) -> str:
    return "same" if same[1] else ("same tool" if same[0] else "other tool")
