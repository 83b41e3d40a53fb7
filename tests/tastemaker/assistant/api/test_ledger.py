from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from tastemaker.assistant.api import ledger as api
from tastemaker.assistant.api.auth import caller
from tastemaker.assistant.errors import Forbidden
from tastemaker.assistant.identity import OPEN, Caller
from tastemaker.assistant.ledger import Attempt, Ledger
from tastemaker.assistant.prices import Prices
from tastemaker.core.database import open_database


@dataclass(frozen=True)
class Services:
    ledger: Ledger


def client(tmp_path: Path, who: Caller) -> TestClient:
    ledger = Ledger(open_database(f"sqlite:///{tmp_path}/a.db"), Prices.read())
    attempts = [Attempt("theirs", "gpt-6-luna", "ok", 300.0, 1000, 50, 0, 0.0, 0.25)]
    ledger.record_turn(ledger.attempts("t1", attempts, caller="key", user_id="ada"))
    app = FastAPI()
    app.include_router(api.routes(Services(ledger)))
    app.dependency_overrides[caller] = lambda: who

    @app.exception_handler(Forbidden)
    async def forbidden(_: Any, error: Exception) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 403)

    return TestClient(app)


def test_sums_by_group(tmp_path: Path) -> None:
    http = client(tmp_path, OPEN)
    found = http.get("/api/ledger?days=1").json()
    assert (found["days"], found["by"], found["cents"]) == (1, "member", 0.25)
    assert found["rows"][0]["group"] == "theirs"
    for by in ("kind", "caller", "user_id", "day", "price"):
        reply = http.get("/api/ledger", params={"by": by})
        assert reply.status_code == 200
        assert sum(row["cents"] for row in reply.json()["rows"]) == 0.25


@pytest.mark.parametrize("query", ["days=0", "days=x", "by=entry_id", "by='; drop table ledger"])
def test_wrong_queries_are_the_callers_fault(tmp_path: Path, query: str) -> None:
    assert client(tmp_path, OPEN).get(f"/api/ledger?{query}").status_code == 422


def test_others_than_operators_are_refused(tmp_path: Path) -> None:
    for role in ("user", "service"):
        who = Caller("k", "ada", frozenset({role}), 10, 10)
        assert client(tmp_path, who).get("/api/ledger").status_code == 403
