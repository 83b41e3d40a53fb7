"""One JSON request to a back end: a deadline for the whole of it, a bound on its size."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from pydantic_core import from_json, to_json

from tastemaker.assistant.called import note
from tastemaker.assistant.http_client import MAX_REPLY_BYTES, HttpClient, Request
from tastemaker.assistant.http_connection import TooLong
from tastemaker.assistant.providers.backend import BackendFault, FaultKind
from tastemaker.assistant.tracing import outgoing

_JSON = {"Content-Type": "application/json"}
_MAX_REASON_CHARS = 200
_MAX_RETRY_AFTER_S = 3600.0


async def post(
    http: HttpClient,
    name: str,
    url: str,
    body: Mapping[str, Any],
    *,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
    model: str = "",
) -> dict[str, Any]:
    """Post a JSON body and read a JSON object.

    Args:
        http: Sends it; redirects are not followed.
        name: Whose endpoint it is, for messages.
        url: The full address.
        body: What to send.
        timeout_s: Longest wait for the last byte, > 0.
        headers: Besides the usual ones; never part of a message.
        model: The model of ours that is asked, whose bundle is noted; empty for others'.

    Raises:
        BackendFault: Anything but a JSON object under a status of 2xx.
    """
    request = Request(
        url, timeout_s, to_json(body), {**_JSON, **outgoing(), **(headers or {})}, MAX_REPLY_BYTES
    )
    start = time.monotonic()
    try:
        response = await http.send(request)
    except (TimeoutError, TooLong, ConnectionError) as error:
        if model:
            note(model, start)
        raise _unanswered(name, error, timeout_s) from None
    if model:
        note(model, start, response.status, response.headers)
    if not response.is_success:
        said = response.body[:_MAX_REASON_CHARS].decode(errors="replace")
        secrets = (headers or {}).values()
        raise BackendFault(
            name,
            _kind(response.status),
            f"HTTP {response.status}: {without(said, secrets)}",
            retry_after_s=retry_after_s(response.headers.get("retry-after")),
        )
    try:
        reply = from_json(response.body)
    except (ValueError, RecursionError):
        raise BackendFault(name, "garbage", "its reply is not JSON") from None
    if not isinstance(reply, dict):
        raise BackendFault(name, "garbage", "its reply is not a JSON object")
    return reply


def retry_after_s(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number or a date; None for neither."""
    if not value:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            until = parsedate_to_datetime(value)
        except ValueError:
            return None
        wait_s = (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(wait_s, 0.0), _MAX_RETRY_AFTER_S) if wait_s == wait_s else None


def without(text: str, headers: Any) -> str:
    """A provider's words without what was sent as a header: some repeat a wrong key."""
    for value in headers:
        for word in value.split():
            if len(word) >= 8:
                text = text.replace(word, "***")
    return text


def _unanswered(name: str, error: Exception, timeout_s: float) -> BackendFault:
    if isinstance(error, TimeoutError):
        return BackendFault(name, "timeout", f"no answer in {timeout_s:.1f} s")
    if isinstance(error, TooLong):
        return BackendFault(name, "garbage", f"its reply has {error}")
    return BackendFault(name, "connection", str(error))


def _kind(status: int) -> FaultKind:
    if status == 429:
        return "limited"
    if status in (401, 403, 404):
        return "access"
    return "server" if status >= 500 or status < 400 else "refused"
