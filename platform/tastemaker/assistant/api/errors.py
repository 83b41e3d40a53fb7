"""Every error as the OpenAI API gives it: what a caller can mend is a 4xx with its reason."""

import logging
import re
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.exceptions import HTTPException

from tastemaker.assistant.clients import ServiceDown
from tastemaker.core.errors import NotFound, ServiceError, SpaceMismatch, TastemakerError

Body = dict[str, Any]
_log = logging.getLogger(__name__)


class Fault(BaseModel):
    """What is wrong; `param` names the field at fault."""

    message: str
    type: str
    param: str | None
    code: str | None


class Failed(BaseModel):
    """Every error's body."""

    error: Fault


_SAID = {
    400: "The request is wrong.",
    401: "No credentials, or some that do not hold.",
    403: "Credentials that do not reach so far, or a page of another site.",
    404: "Nothing of this name that the caller may see.",
    409: "It contradicts an earlier request.",
    413: "The body is too long.",
    429: "A limit is used up; Retry-After says until when.",
    503: "A server behind the assistant is down.",
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Failed, "description": said} for status, said in _SAID.items()
}
_KIND = re.compile(r"[\[(]|^[A-Z]")  # function-after[...], list[Part], ConversationRef
_KINDS = {
    400: ("invalid_request_error", None),
    401: ("authentication_error", "unauthorized"),
    403: ("permission_error", "forbidden"),
    404: ("not_found_error", "not_found"),
    409: ("invalid_request_error", "conflict"),
    429: ("rate_limit_error", "too_many"),
}


# What SQLAlchemy raises then; no connection is free for long where all hang.
DATABASE_DOWN = (OperationalError, InterfaceError, NoConnection)


class ClientGone(Exception):
    """The client closed the connection before its answer was there."""


def error_body(message: str, kind: str, *, param: str | None = None, code: str | None) -> Body:
    """An error as the OpenAI API gives it."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_of(error: Exception) -> tuple[int, Body, dict[str, str]]:
    """HTTP status, body and headers of an error of ours, or of a database that is down."""
    if isinstance(error, DATABASE_DOWN):
        _log.error("the database does not answer: %s", getattr(error, "orig", error))
        said = "the assistant's database does not answer: nothing was kept of this; try again"
        return 503, error_body(said, "service_unavailable", code="database"), {}
    message, param = str(error), getattr(error, "param", None)
    status, headers = getattr(error, "status", None), getattr(error, "headers", {})
    code: str | None
    if isinstance(error, NotFound):
        status = 404
    if isinstance(error, ServiceError | SpaceMismatch):
        code = error.service if isinstance(error, ServiceDown) else None
        return 503, error_body(message, "service_unavailable", code=code), {}
    if status in _KINDS:
        kind, code = _KINDS[status]
        return status, error_body(message, kind, param=param, code=code), headers
    return 500, error_body(message, "server_error", code=None), {}


def add_errors(app: FastAPI) -> None:
    """Give every error its form, and the API's description the same."""
    described = app.openapi

    def openapi() -> Body:
        found = described()
        for operations in found["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)  # the framework's; ours is a 400
        return found

    app.openapi = openapi  # type: ignore[method-assign]

    async def ours(_: Request, error: Exception) -> JSONResponse:
        status, body, headers = error_of(error)
        return JSONResponse(body, status, headers)

    for kind in (TastemakerError, *DATABASE_DOWN):
        app.add_exception_handler(kind, ours)

    @app.exception_handler(ClientGone)
    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=499)  # nobody reads it; the access log does

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> JSONResponse:
        said = f"a fault of the assistant's own: {type(error).__name__}"  # the log has the rest
        return JSONResponse(error_body(said, "server_error", code=None), 500)

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        kind, code = "invalid_request_error", str(error.status_code)
        body = error_body(str(error.detail), kind, code=code)
        return JSONResponse(body, error.status_code, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def validation(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        inmost = max(error.errors(), key=lambda one: len(one["loc"]))  # says most, in a union
        where = ".".join(_fields(inmost["loc"][1:])) or "body"
        message = f"{where}: {inmost['msg'].removeprefix('Value error, ')}"
        return JSONResponse(
            error_body(message, "invalid_request_error", param=where, code=None), 400
        )


def _fields(path: Sequence[int | str]) -> list[str]:
    """The names in a path; what pydantic calls the kinds of a value is left out."""
    return [str(p) for p in path if str(p) != "str" and not _KIND.search(str(p))]
