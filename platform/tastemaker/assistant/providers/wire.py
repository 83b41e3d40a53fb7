"""One JSON request to a back end: a deadline for the whole of it, a bound on its size."""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from pydantic_core import to_json

from tastemaker.assistant.providers.backend import BackendFault, FaultKind

MAX_REPLY_BYTES = 4 << 20
_JSON = {"Content-Type": "application/json"}
_READY_TIMEOUT_S = 1.5
_MAX_REASON_CHARS = 200
_MAX_RETRY_AFTER_S = 3600.0


async def post(
    http: httpx.AsyncClient,
    name: str,
    url: str,
    body: Mapping[str, Any],
    *,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Post a JSON body and read a JSON object.

    Args:
        http: The connection pool to use; redirects are not followed.
        name: Whose endpoint it is, for messages.
        url: The full address.
        body: What to send.
        timeout_s: Longest wait for the last byte, > 0.
        headers: Besides the usual ones; never part of a message.

    Raises:
        BackendFault: Anything but a JSON object under a status of 2xx.
    """
    try:
        async with (
            asyncio.timeout(max(timeout_s, 0.01)),
            http.stream(
                "POST",
                url,
                content=to_json(body),
                headers={**_JSON, **(headers or {})},
                timeout=None,
            ) as response,
        ):
            content = bytearray()
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > MAX_REPLY_BYTES:
                    raise BackendFault(
                        name, "garbage", f"its reply is over {MAX_REPLY_BYTES} bytes"
                    )
    except TimeoutError:
        raise BackendFault(name, "timeout", f"no answer in {timeout_s:.1f} s") from None
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise BackendFault(name, "connection", reason) from None
    if not response.is_success:
        said = content[:_MAX_REASON_CHARS].decode(errors="replace")
        secrets = (headers or {}).values()
        raise BackendFault(
            name,
            _kind(response.status_code),
            f"HTTP {response.status_code}: {without(said, secrets)}",
            retry_after_s=retry_after_s(response.headers.get("retry-after")),
        )
    try:
        reply = json.loads(content)
    except (ValueError, RecursionError):
        raise BackendFault(name, "garbage", "its reply is not JSON") from None
    if not isinstance(reply, dict):
        raise BackendFault(name, "garbage", "its reply is not a JSON object")
    return reply


async def ready(http: httpx.AsyncClient, url: str, headers: Mapping[str, str] | None = None) -> str:
    """An empty string when a GET of the address succeeds, else why not."""
    try:
        response = await http.get(url, headers=headers, timeout=_READY_TIMEOUT_S)
    except httpx.TimeoutException:
        return f"no answer in {_READY_TIMEOUT_S} s"
    except httpx.HTTPError as error:
        return str(error) or type(error).__name__
    return "" if response.is_success else f"HTTP {response.status_code}"


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


def _kind(status: int) -> FaultKind:
    if status == 429:
        return "limited"
    if status in (401, 403, 404):
        return "access"
    return "server" if status >= 500 or status < 400 else "refused"
