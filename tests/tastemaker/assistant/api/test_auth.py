from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from tastemaker.assistant.api.auth import Asking
from tastemaker.assistant.errors import Forbidden, TooMany, Unauthorized
from tastemaker.assistant.http_client import Pool
from tastemaker.assistant.identity import Identity, IdentityConfig
from tastemaker.assistant.limits import Limits
from tastemaker.core.database import open_database

LOCAL = "http://127.0.0.1:8400"


def app_with(folder: Path, config: IdentityConfig) -> FastAPI:
    app, engine = FastAPI(), open_database(f"sqlite:///{folder}/a.db")
    identity = Identity(config, engine, Pool())
    app.state.services = SimpleNamespace(identity=identity, limits=Limits(engine))

    @app.get("/who")
    async def who(caller: Asking) -> str:
        return caller.name

    async def refused(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, Unauthorized | Forbidden | TooMany)
        return JSONResponse(str(error), error.status, getattr(error, "headers", None))

    for kind in (Unauthorized, Forbidden, TooMany):
        app.add_exception_handler(kind, refused)
    return app


def test_a_key_is_asked_for_counted_and_documented(tmp_path: Path) -> None:
    app = app_with(tmp_path, IdentityConfig(auth="keys"))
    http = TestClient(app, base_url=LOCAL)
    refused = http.get("/who")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="tastemaker"'
    key, _ = app.state.services.identity.keys.create(
        "web", user_id="ada", requests_per_minute=2, cents_per_day=0
    )
    given = {"authorization": f"Bearer {key}"}
    assert [http.get("/who", headers=given).status_code for _ in range(3)] == [200, 200, 429]
    assert 1 <= int(http.get("/who", headers=given).headers["retry-after"]) <= 30
    wrong = http.get("/who", headers={"authorization": f"Bearer {key[:-4]}AAAA"})
    assert (wrong.status_code, wrong.json()) == (401, "unknown API key")
    twice = http.get("/who", headers=[("authorization", f"Bearer {key}")] * 2)
    assert twice.status_code == 401
    operation = app.openapi()["paths"]["/who"]["get"]
    assert operation["security"] == [{"HTTPBearer": []}]
    assert "parameters" not in operation


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8400", 200),
        ("localhost:8400", 200),
        ("[::1]:8400", 200),
        ("testserver", 200),
        ("evil.example", 403),
        ("evil.example:8400", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example", 403),
        ("evil.example.", 403),
        ("an_odd.evil.example:8400", 403),  # the framework takes it for no host at all
        ("[evil", 403),
        ("evil.example:x", 403),
        ("127.0.0.1@evil.example", 403),
    ],
)
def test_another_sites_name_reaches_no_open_assistant(
    tmp_path: Path, host: str, status: int
) -> None:
    app = app_with(tmp_path, IdentityConfig())
    http = TestClient(app, base_url=LOCAL)
    assert http.get("/who", headers={"host": host}).status_code == status
    locked = TestClient(app_with(tmp_path, IdentityConfig(auth="keys")), base_url=LOCAL)
    assert locked.get("/who", headers={"host": host}).status_code == 401
