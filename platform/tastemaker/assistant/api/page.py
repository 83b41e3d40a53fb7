"""The page: static files, no build step, under a strict content security policy."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tastemaker.core.errors import NotFound

FOLDER = Path(__file__).parents[1] / "page"
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".html": "text/html",
}
_FRESH = {"Cache-Control": "no-cache"}  # asked again each time, so that modules never mix
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; style-src 'self'; "
    "script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_RAW = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]


def routes() -> APIRouter:
    """The page and the files of its folder, by name."""
    api = APIRouter(include_in_schema=False)
    files = {path.name: path for path in FOLDER.iterdir() if path.suffix in _TYPES}

    @api.get("/")
    async def index() -> FileResponse:
        return FileResponse(files["index.html"], media_type="text/html", headers=_FRESH)

    @api.get("/page/{name}")
    async def file(name: str) -> FileResponse:
        if name not in files:
            raise NotFound(f"no page file {name!r}")
        kind = _TYPES[files[name].suffix]
        return FileResponse(files[name], media_type=kind, headers=_FRESH)

    return api


class Guard:
    """Adds the security headers to every answer and refuses bodies that are too long.

    Args:
        app: What it guards.
        max_body_bytes: Of a request.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self.app, self.max_body_bytes = app, max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read = 0

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                if read > self.max_body_bytes:
                    said = f"the request is longer than {self.max_body_bytes} bytes"
                    raise HTTPException(413, said)
            return message

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))  # any iterable may stand there, or none
                there = {name.lower() for name, _ in given}
                message["headers"] = [*given, *(pair for pair in _RAW if pair[0] not in there)]
            await send(message)

        await self.app(scope, counted, with_headers)
