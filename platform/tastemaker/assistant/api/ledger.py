"""What was spent, on what and for whom: for operators."""

import time
from typing import Annotated, Literal, Protocol

from fastapi import APIRouter, Query
from pydantic import BaseModel

from tastemaker.assistant.api.auth import Asking
from tastemaker.assistant.ledger import DAY_MS, Ledger
from tastemaker.core.database import in_thread

Grouping = Literal[
    "kind", "name", "member", "outcome", "caller", "user_id", "conversation_id", "price", "day"
]


class HasLedger(Protocol):
    """What these routes need of the services."""

    @property
    def ledger(self) -> Ledger:
        """The cost ledger."""
        ...


class Row(BaseModel):
    """Sums of one group; a day is named by its first millisecond, UTC."""

    group: str | int | None
    entries: int
    turns: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    ms: float
    compute_s: float
    cents: float


class Summary(BaseModel):
    """The ledger of some days, the dearest group first."""

    days: int
    by: Grouping
    cents: float
    rows: list[Row]


def routes(services: HasLedger) -> APIRouter:
    """GET /api/ledger."""
    router = APIRouter(tags=["ledger"])

    @router.get("/api/ledger")
    async def summary(
        caller: Asking,
        days: Annotated[int, Query(ge=1, le=3660)] = 7,
        by: Grouping = "member",
    ) -> Summary:
        """Sums over the last days; needs the role operator."""
        caller.require("operator")
        since_ms = int(time.time() * 1000) - days * DAY_MS
        ledger = services.ledger
        found = await in_thread(ledger.engine, ledger.summary, since_ms, by=by)
        rows = [Row(group=row.pop(by), **row) for row in found]
        return Summary(days=days, by=by, cents=sum(row.cents for row in rows), rows=rows)

    return router
