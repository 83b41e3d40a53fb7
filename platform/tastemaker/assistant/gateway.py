"""The assistant's server: the chat API, the page, and the pictures that it shows.

python -m tastemaker.assistant.gateway --port 8400 --encoder-url http://127.0.0.1:8401 ...
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.exceptions import HTTPException

from tastemaker import __version__
from tastemaker.assistant import chat, examples, turn_log
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.clients import ModelClient, RouterClient, ServiceDown, Upstreams
from tastemaker.assistant.conversation import Conversations
from tastemaker.assistant.loop import Assistant
from tastemaker.assistant.session import Session
from tastemaker.assistant.settings import AssistantConfig
from tastemaker.assistant.tools.native import Tools
from tastemaker.assistant.turn import Step
from tastemaker.core.errors import NotFound, ServiceError, SpaceMismatch, TastemakerError
from tastemaker.core.home import Home
from tastemaker.core.lifetime import end_with_owner

PAGE = Path(__file__).parent / "page"
_FILES = {"app.js": "text/javascript", "style.css": "text/css", "icon.svg": "image/svg+xml"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def build_app(
    home: Home,
    catalogue: Catalogue,
    urls: dict[str, str],
    config: AssistantConfig | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> FastAPI:
    """The app.

    Args:
        home: Where turns are recorded.
        catalogue: What is shown.
        urls: Base address of encoder, retrieval, recommender and router.
        config: Limits.
        transport: How the servers are reached; default real HTTP.
    """
    config = config or AssistantConfig()
    http = httpx.AsyncClient(transport=transport, trust_env=False)
    models = {name: ModelClient(name, urls[name], http) for name in urls if name != "router"}
    upstreams = Upstreams(
        **models, router=RouterClient(urls["router"], http), space=catalogue.space
    )
    tools = Tools(catalogue, upstreams, config.num_items)
    conversations = Conversations(config.max_conversations, config.idle_s)
    assistant = Assistant(tools, upstreams, config)
    session = Session(catalogue, assistant, upstreams, conversations, config)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await http.aclose()

    app = FastAPI(title="Tastemaker", version=__version__, lifespan=lifespan, openapi_url=None)
    _add_errors(app)
    _add_chat(app, home, session, config)
    _add_catalogue(app, catalogue)
    _add_page(app)

    @app.get("/healthz")
    async def healthz() -> JSONResponse:
        faults = await upstreams.readiness()
        body = {
            "status": "degraded" if any(faults.values()) else "ok",
            "version": __version__,
            "dataset": catalogue.dataset.digest,
            "space": catalogue.space,
            "items": len(catalogue.items),
            "services": {name: {"ready": not why, "reason": why} for name, why in faults.items()},
        }
        return JSONResponse(body, 503 if any(faults.values()) else 200)

    return app


def _add_chat(app: FastAPI, home: Home, session: Session, config: AssistantConfig) -> None:
    @app.get("/v1/models")
    async def models() -> dict[str, Any]:
        model = {"id": chat.MODEL, "object": "model", "created": 0, "owned_by": "tastemaker"}
        return {"object": "list", "data": [model]}

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> Response:
        asked = chat.read_request(await _body(request, config.max_body_bytes), config)
        events = session.answer(asked)
        first = await anext(events)  # what is wrong from the start is an HTTP status
        if asked.stream:
            stream = _stream(home, asked, first, events)
            return StreamingResponse(
                stream, media_type="text/event-stream", headers=_STREAM_HEADERS
            )
        body = first
        async for event in events:
            body = event
        assert isinstance(body, dict)
        await asyncio.to_thread(turn_log.append, home, asked, body)
        return JSONResponse(body)


async def _stream(
    home: Home,
    asked: chat.Asked,
    first: Step | dict[str, Any],
    rest: AsyncIterator[Step | dict[str, Any]],
) -> AsyncIterator[str]:
    async def events() -> AsyncIterator[Step | dict[str, Any]]:
        yield first
        async for event in rest:
            yield event

    try:
        async for event in events():
            if isinstance(event, Step):
                yield chat.step_chunk(event)
                continue
            await asyncio.to_thread(turn_log.append, home, asked, event)
            for chunk in chat.answer_chunks(event):
                yield chunk
    except TastemakerError as error:  # the status is sent already
        yield chat.sse(_error_of(error)[1])


def _add_catalogue(app: FastAPI, catalogue: Catalogue) -> None:
    questions, users = examples.suggestions(catalogue), examples.sample_users(catalogue)

    @app.get("/items/{item_id:path}/image")
    async def image(item_id: str) -> Response:
        picture = await asyncio.to_thread(catalogue.image, item_id)
        headers = {"Cache-Control": "public, max-age=3600"}
        return Response(picture, media_type="image/jpeg", headers=headers)

    @app.get("/items/{item_id:path}")
    async def item(item_id: str) -> dict[str, Any]:
        found = catalogue.item(item_id)
        return {**asdict(found), "image_url": found.image_url}

    @app.get("/api/users")
    async def api_users() -> dict[str, Any]:
        return {"users": users}

    @app.get("/api/suggestions")
    async def api_suggestions() -> dict[str, Any]:
        return {"suggestions": questions}


def _add_page(app: FastAPI) -> None:
    @app.get("/")
    async def index() -> FileResponse:
        return FileResponse(PAGE / "index.html", media_type="text/html")

    @app.get("/page/{name}")
    async def file(name: str) -> FileResponse:
        if name not in _FILES:
            raise NotFound(f"no page file {name!r}")
        return FileResponse(PAGE / name, media_type=_FILES[name])

    @app.middleware("http")
    async def headers(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        response = await call_next(request)
        response.headers.update(_HEADERS)
        return response


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(TastemakerError)
    async def ours(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, TastemakerError)
        status, body = _error_of(error)
        return JSONResponse(body, status)

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> JSONResponse:
        said = f"a fault of the assistant's own: {type(error).__name__}"  # the log has the rest
        return JSONResponse(chat.error_body(said, "server_error", param=None, code=None), 500)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        body = chat.error_body(
            str(error.detail), "invalid_request_error", param=None, code=str(error.status_code)
        )
        return JSONResponse(body, error.status_code)

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: Exception) -> JSONResponse:
        body = chat.error_body(str(error), "invalid_request_error", param=None, code=None)
        return JSONResponse(body, 400)


def _error_of(error: TastemakerError) -> tuple[int, dict[str, Any]]:
    """HTTP status and body of an error."""
    message = str(error)
    if isinstance(error, chat.BadRequest):
        kind = "invalid_request_error"
        return 400, chat.error_body(message, kind, param=error.param, code=None)
    if isinstance(error, NotFound):
        return 404, chat.error_body(message, "not_found_error", param=None, code="not_found")
    service = error.service if isinstance(error, ServiceDown) else None
    if isinstance(error, ServiceError | SpaceMismatch):
        return 503, chat.error_body(message, "service_unavailable", param=None, code=service)
    return 500, chat.error_body(message, "server_error", param=None, code=None)


async def _body(request: Request, max_bytes: int) -> bytes:
    """The body of a JSON request; other types are refused, so no foreign form can post here."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise chat.BadRequest("content-type must be application/json")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise HTTPException(413, f"the request is longer than {max_bytes} bytes")
    return bytes(body)


def main(arguments: list[str] | None = None) -> None:
    """Serve the assistant of the home in `TASTEMAKER_HOME` until stopped."""
    parser = argparse.ArgumentParser(prog="tastemaker.assistant.gateway")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8400)
    for offset, name in enumerate(("encoder", "retrieval", "recommender", "router"), 1):
        parser.add_argument(f"--{name}-url", default=f"http://127.0.0.1:{8400 + offset}")
    parser.add_argument("--environment", default="local")
    given = vars(parser.parse_args(arguments))
    end_with_owner()
    urls = {key.removesuffix("_url"): url for key, url in given.items() if key.endswith("_url")}
    try:
        home = Home.open()
        catalogue = Catalogue.live(home, given["environment"])
    except TastemakerError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    uvicorn.run(
        build_app(home, catalogue, urls),
        host=given["host"],
        port=given["port"],
        log_level="warning",
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
