"""Calls to somebody else's MCP endpoint, bounded in time and size."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Implementation, Tool

from tastemaker import __version__
from tastemaker.assistant.tools.endpoints import MAX_REPLY_BYTES, EndpointRefused, GuardedTransport
from tastemaker.core.errors import ServiceError

MAX_TOOLS = 32  # of one endpoint
_MAX_PAGES = 10


class EndpointDown(ServiceError):
    """An MCP endpoint that does not answer, is too slow, or answers what is no MCP."""


async def list_tools(url: str, *, allow_private: bool, timeout_s: float) -> list[Tool]:
    """The tools of an endpoint, at most `MAX_TOOLS`.

    Raises:
        EndpointRefused: An address that may not be called.
        EndpointDown: No answer in time, or none that is MCP.
    """
    found: list[Tool] = []
    async with _connected(url, allow_private, timeout_s) as client:
        cursor: str | None = None
        for _ in range(_MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            cursor = page.next_cursor
            if cursor is None or len(found) >= MAX_TOOLS:
                break
    return found[:MAX_TOOLS]


async def call_tool(
    url: str,
    name: str,
    arguments: Mapping[str, Any],
    *,
    allow_private: bool,
    timeout_s: float,
) -> CallToolResult:
    """Call one tool.

    Args:
        url: The endpoint.
        name: As the endpoint calls it.
        arguments: Checked against its schema before.
        allow_private: As for `check_address`.
        timeout_s: For all of it, connecting included, > 0.

    Raises:
        EndpointRefused: An address that may not be called.
        EndpointDown: No answer in time, or none that is MCP.
    """
    async with _connected(url, allow_private, timeout_s) as client:
        return await client.call_tool(name, dict(arguments))


@asynccontextmanager
async def _connected(url: str, allow_private: bool, timeout_s: float) -> AsyncIterator[Client]:
    """A client for one exchange: nothing is kept open towards a server that is not ours."""
    http = httpx2.AsyncClient(
        transport=GuardedTransport(allow_private=allow_private),
        timeout=None,  # one clock for all of it, below
        trust_env=False,
        follow_redirects=False,
    )
    transport = streamable_http_client(
        url, http_client=http, terminate_on_close=False, max_sse_event_size=MAX_REPLY_BYTES
    )
    us = Implementation(name="tastemaker", version=__version__)
    try:
        async with (
            asyncio.timeout(timeout_s),
            http,
            Client(transport, client_info=us, cache=None) as client,
        ):
            yield client
    except TimeoutError:
        raise EndpointDown(f"no answer in {timeout_s:g} s") from None
    except Exception as error:  # the SDK's, the transport's, pydantic's: all are the endpoint's
        causes = _leaves(error)
        refused = next((cause for cause in causes if isinstance(cause, EndpointRefused)), None)
        if refused is not None:
            raise refused from None
        raise EndpointDown(_reason(causes[0])) from None


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]


def _reason(error: BaseException) -> str:
    """Why, in our words: the endpoint's own are data that somebody else wrote."""
    if isinstance(error, MCPError):
        return f"it answered with MCP error {error.code}"
    if isinstance(error, httpx2.ConnectError | ConnectionError):
        return "it cannot be reached"
    return f"its answer cannot be used ({type(error).__name__})"
