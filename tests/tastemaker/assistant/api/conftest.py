"""An app with the routes of users, events, boards and tools on real stores.

Features (the real ones have a test of their own) and conversations are small in-memory parts with
their real counterparts' methods.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from tastemaker.assistant.api import boards, events, tools, users
from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.errors import BadRequest, Forbidden, TooMany, Unauthorized
from tastemaker.assistant.http_client import Pool
from tastemaker.assistant.identity import Identity, IdentityConfig, Owner
from tastemaker.assistant.limits import Limits
from tastemaker.assistant.tools.registry import Registry, RegistryConfig
from tastemaker.core.database import open_database
from tastemaker.core.errors import NotFound, ServiceError
from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent
from tastemaker.features.signals import Signals


@dataclass
class Features:
    """Features that are the event log alone; `down` is a feature store that is not there."""

    engine: Engine
    down: bool = False

    async def read(self, user_id: str | None, session_id: str, *, deadline_s: float) -> Signals:
        if self.down:
            return Signals(user_id, session_id, missing=("user_history",))
        logged = event_log.of_user(self.engine, user_id) if user_id else []
        history = tuple((event.item_id, event.action, event.time_ms) for event in logged)
        saves = sum(event.action == "save" for event in logged)
        return Signals(
            user_id,
            session_id,
            history,
            counts={"save_1d": saves},
            categories={"vase": 1.0} if saves else {},
        )

    async def record(self, happened: Sequence[LiveEvent]) -> bool:
        event_log.append(self.engine, happened)
        return not self.down

    async def forget(self, user_id: str) -> dict[str, int]:
        num = event_log.forget_user(self.engine, user_id)
        return {"events": num, "features": 3 if num and not self.down else 0}


@dataclass
class Conversations:
    """Conversations by id: the user of each."""

    owners: dict[str, str | None] = field(default_factory=dict)

    def get(self, conversation_id: str | None, owner: Owner) -> str | None:
        here = conversation_id in self.owners and self.owners[conversation_id] == owner.user_id
        return conversation_id if here else None

    def count(self, user_id: str) -> int:
        return list(self.owners.values()).count(user_id)

    def forget(self, user_id: str) -> dict[str, int]:
        gone = [key for key, owner in self.owners.items() if owner == user_id]
        for key in gone:
            del self.owners[key]
        return {"conversations": len(gone), "turns": 2 * len(gone)}


@dataclass
class Ledger:
    """Users that were taken out of it."""

    forgotten: list[str] = field(default_factory=list)

    def forget_user(self, user_id: str) -> int:
        self.forgotten.append(user_id)
        return 1


@dataclass
class Site:
    """The app and its parts; `as_` sends requests with a fresh key of a user or a role."""

    app: FastAPI
    services: Any
    http: TestClient

    def as_(self, user: str | None = None, role: str = "", **limits: Any) -> TestClient:
        keys = self.services.identity.keys
        name = f"{user or role}-{len(keys.all())}"
        key, _ = keys.create(name, user_id=user, roles=[role] if role else [], **limits)
        headers = {"authorization": f"Bearer {key}"}
        return TestClient(self.app, headers=headers, raise_server_exceptions=False)


def make_site(folder: Path, catalogue: Catalogue, config: IdentityConfig) -> Site:
    """The app on a fresh database."""
    app, engine = FastAPI(), open_database(f"sqlite:///{folder}/a.db")
    services = SimpleNamespace(
        catalogue=catalogue,
        engine=engine,
        identity=Identity(config, engine, Pool()),
        limits=Limits(engine),
        features=Features(engine),
        boards=BoardStore(engine),
        registry=Registry(engine, catalogue, RegistryConfig().for_auth(config.auth)),
        conversations=(kept := Conversations()),
        records=kept,
        ledger=Ledger(),
    )
    app.state.services = services
    for resource in (users, events, boards, tools):
        app.include_router(resource.routes(services))
    _add_errors(app)
    return Site(app, services, TestClient(app, raise_server_exceptions=False))


def _add_errors(app: FastAPI) -> None:
    statuses = {BadRequest: 400, RequestValidationError: 400, Unauthorized: 401, Forbidden: 403}

    async def refused(_: Request, error: Exception) -> JSONResponse:
        status = next(status for kind, status in statuses.items() if isinstance(error, kind))
        return JSONResponse(ascii(str(error)), status)

    statuses |= {NotFound: 404, TooMany: 429, ServiceError: 503}  # type: ignore[dict-item]
    for kind in statuses:
        app.add_exception_handler(kind, refused)


@pytest.fixture
def site(tmp_path: Path, catalogue: Catalogue) -> Site:
    """With API keys."""
    return make_site(tmp_path, catalogue, IdentityConfig(auth="keys"))


@pytest.fixture
def open_site(tmp_path: Path, catalogue: Catalogue) -> Site:
    """Without."""
    return make_site(tmp_path, catalogue, IdentityConfig())
