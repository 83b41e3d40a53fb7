"""What the failure drills share: the real app on a port, and routers behind real sockets."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from sqlalchemy import func, select

from tastemaker.assistant.conversation_tables import turns_table
from tastemaker.assistant.gateway import build_app
from tastemaker.assistant.http_client import Pool
from tastemaker.assistant.http_client import Request as HttpRequest
from tastemaker.assistant.http_connection import Response as HttpResponse
from tastemaker.assistant.providers.settings import MemberConfig, ProvidersConfig
from tastemaker.assistant.services import Services
from tastemaker.assistant.settings import AssistantConfig, GatewayConfig
from tastemaker.core.home import Home
from tastemaker.data.event_log import live_events
from tastemaker.features.config import FeatureConfig
from tests.tastemaker.assistant.conftest import URLS, Message, Script, Servers, serving
from tests.tastemaker.assistant.wires import Wired

Says = Callable[[Request], Awaitable[Response]]
PATIENT_S = 20.0


def until(true: Callable[[], Any], timeout_s: float = PATIENT_S) -> Any:
    """What `true` gives once it gives something."""
    end = time.monotonic() + timeout_s
    while not (found := true()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)
    return found


@dataclass
class Router:
    """A router behind a real socket; it plans by `script` unless `says` answers instead.

    Attributes:
        delay_s: Before each answer.
        asked: Bodies of the requests.
        left: How many requests were given up while they waited.
    """

    script: Script
    delay_s: float = 0.0
    says: Says | None = None
    asked: list[Message] = field(default_factory=list)
    left: int = 0

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/{path:path}")
        async def ready(path: str) -> dict[str, bool]:
            return {"ready": True}

        @app.post("/v1/chat/completions")
        async def chat(request: Request) -> Response:
            body = await request.json()
            self.asked.append(body)
            waiting = asyncio.ensure_future(asyncio.sleep(self.delay_s))
            gone = asyncio.ensure_future(_gone(request))
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            gone.cancel()
            if not waiting.done():
                waiting.cancel()
                self.left += 1
            if self.says is not None:
                return await self.says(request)
            usage = {"prompt_tokens": 10, "completion_tokens": 3}
            choices = [{"message": self.script(body["messages"])}]
            return JSONResponse({"choices": choices, "usage": usage})

        return app


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


@dataclass
class Wires:
    """Model servers by their seam, everything on 127.0.0.1 by a real socket."""

    servers: Wired
    real: Pool = field(default_factory=Pool)

    async def send(self, request: HttpRequest) -> HttpResponse:
        on_wire = request.url.startswith("http://127.0.0.1")
        return await (self.real if on_wire else self.servers).send(request)

    async def aclose(self) -> None:
        await self.real.aclose()


@dataclass
class Site:
    """The real app on a port.

    Attributes:
        url: Its base address.
        services: Its parts, to count rows in its database.
    """

    url: str
    services: Services
    http: httpx.Client
    home: Home

    def ask(self, text: str, headers: dict[str, str] | None = None, **fields: Any) -> Any:
        """Ask a question; its status must be 200. The `tastemaker` part, with the text."""
        body = {"messages": [{"role": "user", "content": text}], **fields}
        reply = self.http.post("/v1/chat/completions", json=body, headers=headers)
        assert reply.status_code == 200, reply.text
        told = reply.json()
        return {**told["tastemaker"], "text": told["choices"][0]["message"]["content"]}

    def go_on(self, conversation: str, text: str, **fields: Any) -> Any:
        """Ask in a conversation."""
        return self.ask(text, tastemaker={"conversation": conversation}, **fields)

    def save(self, user: str, *item_ids: str) -> Any:
        """Save items; the answer of the events API."""
        events = [{"item_id": item_id, "action": "save"} for item_id in item_ids]
        reply = self.http.post("/api/events", json={"user": user, "events": events})
        assert reply.status_code == 200, reply.text
        return reply.json()

    def turns(self, conversation: str, user: str | None = None) -> list[Any]:
        """What is told of a conversation."""
        path, query = f"/v1/conversations/{conversation}", {"user": user} if user else {}
        return list(self.http.get(path, params=query).json()["turns"])

    def count(self, table: Any, **where: Any) -> int:
        """Rows of a table."""
        query = select(func.count()).select_from(table)
        for name, value in where.items():
            query = query.where(table.c[name] == value)
        with self.services.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def records(self) -> list[dict[str, Any]]:
        """Records of all turns, oldest first."""
        query = select(turns_table.c.record).order_by(turns_table.c.time_ms)
        with self.services.engine.connect() as connection:
            return [json.loads(text) for text in connection.execute(query).scalars()]

    def events(self, **where: Any) -> int:
        """Live events in the log."""
        return self.count(live_events, **where)


@contextmanager
def site_of(
    folder: Path | Home,
    servers: Servers,
    *routers: Router,
    features: FeatureConfig | None = None,
    providers: dict[str, Any] | None = None,
    **limits: Any,
) -> Iterator[Site]:
    """The app over these routers (none: the one of `servers`), in a home of its own.

    Args:
        folder: Where its home is, or the home.
        servers: The model servers.
        routers: The family, in order; its members are called r0, r1, ...
        features: Of the feature store.
        providers: Further settings of the family.
        limits: Of a turn.
    """
    home = folder if isinstance(folder, Home) else Home(folder)
    with ExitStack() as stack:
        urls = [stack.enter_context(serving(router.app())) for router in routers]
        members = [MemberConfig(name=f"r{n}", url=url) for n, url in enumerate(urls)]
        settings: dict[str, Any] = {"assistant": AssistantConfig(num_items=6, **limits)}
        if members:
            settings["providers"] = ProvidersConfig(members=tuple(members), **(providers or {}))
        if features:
            settings["features"] = features
        config = GatewayConfig(**settings)
        app = build_app(home, servers.catalogue, URLS, config, http=Wires(Wired(servers)))
        url = stack.enter_context(serving(app))
        http = stack.enter_context(httpx.Client(base_url=url, timeout=60, trust_env=False))
        yield Site(url, app.state.services, http, home)
