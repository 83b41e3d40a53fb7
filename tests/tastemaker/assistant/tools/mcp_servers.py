"""Real MCP servers over HTTP, for tests of tools that are added at run time."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mcp.server import Server
from mcp.types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool

from tests.tastemaker.assistant.conftest import serving

Answer = Callable[[str, dict[str, Any]], Awaitable[CallToolResult]]
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def tool(name: str, says: str = "A tool.", schema: dict[str, Any] | None = None) -> Tool:
    return Tool(name=name, description=says, input_schema=schema or CITY)


def text(said: str, **fields: Any) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=said)], **fields)


async def echo(name: str, arguments: dict[str, Any]) -> CallToolResult:
    return text(f"{name} of {arguments.get('city')}")


async def asleep(name: str, arguments: dict[str, Any]) -> CallToolResult:
    await asyncio.sleep(1.5)
    return text("too late")


@contextmanager
def mcp_server(
    tools: Sequence[Tool], answer: Answer = echo, *, sse: bool = False, port: int = 0
) -> Iterator[str]:
    """A server of these tools; its endpoint's URL."""

    async def list_tools(_: Any, __: Any) -> ListToolsResult:
        return ListToolsResult(tools=list(tools))

    async def call_tool(_: Any, params: CallToolRequestParams) -> CallToolResult:
        return await answer(params.name, params.arguments or {})

    server = Server("shop", version="1", on_list_tools=list_tools, on_call_tool=call_tool)
    app = server.streamable_http_app(json_response=not sse, stateless_http=True)
    with serving(app, port) as url:
        yield f"{url}/mcp"
