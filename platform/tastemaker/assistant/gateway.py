"""The assistant's server: the chat APIs, the page, the tools for other agents.

python -m tastemaker.assistant.gateway --port 8400 --encoder-url http://127.0.0.1:8401 ...
"""

import argparse
import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from sqlalchemy.exc import SQLAlchemyError
from starlette.routing import Route

from tastemaker import __version__
from tastemaker.assistant.api import (
    boards,
    chat,
    conversations,
    events,
    items,
    ledger,
    page,
    responses,
    tools,
    users,
)
from tastemaker.assistant.api.errors import RESPONSES, add_errors
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.http_client import HttpClient
from tastemaker.assistant.identity import check_bind
from tastemaker.assistant.pauses import keep_short
from tastemaker.assistant.services import Services, make_services
from tastemaker.assistant.settings import GatewayConfig
from tastemaker.assistant.tools.mcp_server import PATH, McpEndpoint
from tastemaker.core.config import from_settings
from tastemaker.core.database import checkpoint, in_thread
from tastemaker.core.errors import TastemakerError
from tastemaker.core.home import Home
from tastemaker.core.lifetime import end_with_owner
from tastemaker.promotion.environment import get_live

_log = logging.getLogger(__name__)
_SWEEP_S = 3600.0
_TIDY_S = 5.0


def build_app(
    home: Home,
    catalogue: Catalogue,
    urls: dict[str, str],
    config: GatewayConfig | None = None,
    *,
    user_model: str = "",
    http: HttpClient | None = None,
    alone: bool = False,
) -> FastAPI:
    """The app.

    Args:
        home: Where conversations, boards and traces are kept.
        catalogue: What is shown.
        urls: Base address of encoder, retrieval, recommender and router.
        config: Limits, identity, features, providers.
        user_model: Digest of the live sequence bundle.
        http: How the servers are reached; default: a pool of real connections.
        alone: The process serves nothing else, and its interpreter may be tuned for it.

    Raises:
        ConfigError: A configuration that cannot be served.
    """
    config = config or GatewayConfig()
    services = make_services(home, catalogue, urls, config, user_model=user_model, http=http)

    mcp = McpEndpoint(services)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        services.tools.start()
        services.features.start()
        chores = [asyncio.ensure_future(_sweep(services)), asyncio.ensure_future(_tidy(services))]
        if alone:
            outbox = services.features.outbox
            chores.append(asyncio.ensure_future(keep_short(lambda: outbox.opened is not None)))
        async with mcp.run():
            yield
        for chore in chores:
            chore.cancel()
        await services.close()

    app = FastAPI(title="Tastemaker", version=__version__, lifespan=lifespan, docs_url=None)
    app.state.services = services
    add_errors(app)
    for resource in (chat, responses, conversations, events, users, boards, tools, ledger, items):
        app.include_router(resource.routes(services), responses=RESPONSES)
    app.include_router(page.routes())
    app.router.routes.append(Route(PATH, endpoint=mcp))
    _add_health(app, services)
    app.add_middleware(page.Guard, max_body_bytes=config.assistant.max_body_bytes)
    return app


def _add_health(app: FastAPI, services: Services) -> None:
    @app.get("/healthz", tags=["operations"], responses={503: {"description": "Degraded."}})
    async def healthz() -> JSONResponse:
        """Whether every part can serve; a part that cannot is named with its reason."""
        faults = await services.readiness()
        members = [member.config.name for member in services.policy.members]
        unserved = any(faults[name] for name in services.needed())
        unserved = unserved or all(faults[name] for name in members)
        body = {
            "status": "degraded" if any(faults.values()) else "ok",
            "version": __version__,
            "dataset": services.catalogue.dataset.digest,
            "space": services.catalogue.space,
            "items": len(services.catalogue.items),
            "services": {name: {"ready": not why, "reason": why} for name, why in faults.items()},
        }
        return JSONResponse(body, 503 if unserved else 200)

    @app.get("/metrics", tags=["operations"], response_class=Response)
    async def metrics() -> Response:
        """Counters for Prometheus."""
        services.tracing.settle()
        await services.features.measure_staleness()
        text = generate_latest(services.metrics.registry) + generate_latest(REGISTRY)
        return Response(text, media_type=CONTENT_TYPE_LATEST)


async def _sweep(services: Services) -> None:
    """Forget turns that are older than they are kept."""
    while True:
        keep_days = services.config.assistant.keep_days
        try:
            await in_thread(services.engine, services.conversations.sweep, keep_days)
        except SQLAlchemyError as error:  # the next time, then
            _log.error("old turns could not be swept: %s", error)
        await asyncio.sleep(_SWEEP_S)


async def _tidy(services: Services) -> None:
    """Bring the database's log back into its file, off the path of any turn."""
    while True:
        await asyncio.sleep(_TIDY_S)
        try:
            await in_thread(services.engine, checkpoint, services.engine)
        except SQLAlchemyError as error:
            _log.error("the database's log could not be written back: %s", error)


def main(arguments: list[str] | None = None) -> None:
    """Serve the assistant of the home in `TASTEMAKER_HOME` until stopped."""
    parser = argparse.ArgumentParser(prog="tastemaker.assistant.gateway")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8400)
    for offset, name in enumerate(("encoder", "retrieval", "recommender", "router"), 1):
        parser.add_argument(f"--{name}-url", default=f"http://127.0.0.1:{8400 + offset}")
    parser.add_argument("--environment", default="local")
    parser.add_argument("--settings", default="", help="JSON; default: preset assistant/default")
    given = vars(parser.parse_args(arguments))
    end_with_owner()
    urls = {key.removesuffix("_url"): url for key, url in given.items() if key.endswith("_url")}
    try:
        home, environment = Home.open(), given["environment"]
        config = from_settings(GatewayConfig, given["settings"], family="assistant")
        check_bind(config.identity, given["host"])
        catalogue = Catalogue.live(home, environment)
        user_model = get_live(home, environment, "recommender").bundle
        app = build_app(home, catalogue, urls, config, user_model=user_model, alone=True)
    except TastemakerError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    uvicorn.run(
        app,
        host=given["host"],
        port=given["port"],
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
