"""/api/tools: what the router can call; operators add tools by their MCP endpoint."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from tastemaker.assistant.api.auth import Asking
from tastemaker.assistant.errors import BadRequest
from tastemaker.assistant.tools.registry import Registry
from tastemaker.assistant.tools.remote_tools import MAX_TIMEOUT_S, ROLES, RemoteTool, Terms
from tastemaker.core.errors import DataError
from tastemaker.router.tools import TOOLS

Role = Literal["user", "service", "operator"]


class ToolIn(BaseModel):
    """An endpoint to add, all of its tools or one."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=128)]  # server, or server.tool
    url: Annotated[str, Field(max_length=2000)]
    timeout_s: Annotated[float, Field(gt=0, le=MAX_TIMEOUT_S)] = 5.0
    cents: Annotated[float, Field(ge=0, le=1000)] = 0.0
    roles: Annotated[list[Role], Field(min_length=1, max_length=3)] = [
        "user",
        "service",
        "operator",
    ]


class ToolOut(BaseModel):
    """A tool: its endpoint is for operators alone; it is not enabled while it rests."""

    name: str
    description: str
    native: bool
    endpoint: str | None = None
    timeout_s: float | None = None
    cents: float = 0.0
    roles: list[str]
    enabled: bool = True


class ToolList(BaseModel):
    """What the caller's router can call."""

    tools: list[ToolOut]


class Added(BaseModel):
    """What was added, and why other tools of the endpoint were not."""

    tools: list[ToolOut]
    skipped: dict[str, str]


class Removed(BaseModel):
    """How many tools were removed."""

    removed: int


def routes(services: Any) -> APIRouter:
    """The routes of tools.

    Args:
        services: The gateway's parts.
    """
    api = APIRouter(tags=["tools"])
    registry: Registry = services.registry

    @api.get("/api/tools")
    async def tools(caller: Asking) -> ToolList:
        """The native tools, and those that the caller may use of the added ones."""
        operator = "operator" in caller.roles
        await registry.look()
        added = [t for t in registry.tools() if operator or caller.roles & set(t.roles)]
        outside = [_out(tool, registry, operator=operator) for tool in added]
        return ToolList(tools=[*_native(), *outside])

    @api.post("/api/tools", status_code=201)
    async def add(body: ToolIn, caller: Asking) -> Added:
        """Add the tools of an MCP endpoint; the router sees them on the next turn."""
        caller.require("operator")
        terms = Terms(body.timeout_s, body.cents, tuple(dict.fromkeys(body.roles)))
        try:
            added = await registry.add(body.name, body.url, terms)
        except DataError as error:
            raise BadRequest(str(error)) from None
        out = [_out(tool, registry, operator=True) for tool in added.tools]
        return Added(tools=out, skipped=dict(added.skipped))

    @api.delete("/api/tools/{name}")
    async def remove(name: str, caller: Asking) -> Removed:
        """Remove an added tool, or all of a server's."""
        caller.require("operator")
        return Removed(removed=await registry.remove(name))

    return api


def _native() -> list[ToolOut]:
    functions = [tool["function"] for tool in TOOLS]
    return [
        ToolOut(
            name=function["name"],
            description=function["description"],
            native=True,
            roles=list(ROLES),
        )
        for function in functions
    ]


def _out(tool: RemoteTool, registry: Registry, *, operator: bool) -> ToolOut:
    return ToolOut(
        name=tool.name,
        description=tool.description,
        native=False,
        endpoint=tool.url if operator else None,
        timeout_s=tool.timeout_s,
        cents=tool.cents,
        roles=list(tool.roles),
        enabled=registry.enabled(tool),
    )
