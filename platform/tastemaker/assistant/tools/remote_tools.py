"""Tools of somebody else's as they are kept: where, on which terms, with which schema."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, Engine, Float, String, Table, Text, delete, select

from tastemaker.core.database import metadata
from tastemaker.core.errors import DataError

ROLES = ("user", "service", "operator")
MAX_TIMEOUT_S = 60.0

_remote_tools = Table(
    "remote_tools",
    metadata,
    Column("name", String(128), primary_key=True),  # server.tool
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("parameters", Text, nullable=False),  # JSON Schema, made safe
    Column("timeout_s", Float, nullable=False),
    Column("cents", Float, nullable=False),  # a call
    Column("roles", Text, nullable=False),  # JSON list
    Column("added_ms", BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Terms:
    """What an operator settles for the tools of an endpoint."""

    timeout_s: float = 5.0
    cents: float = 0.0
    roles: tuple[str, ...] = ROLES

    def check(self) -> None:
        """Raise DataError for a value out of range."""
        if not 0 < self.timeout_s <= MAX_TIMEOUT_S:
            raise DataError(f"timeout_s={self.timeout_s}: above 0, at most {MAX_TIMEOUT_S:g}")
        if not 0 <= self.cents <= 1000:
            raise DataError(f"cents={self.cents}: 0 to 1000")
        if not self.roles or set(self.roles) - set(ROLES):
            raise DataError(f"roles={list(self.roles)}: one or more of {', '.join(ROLES)}")


@dataclass(frozen=True)
class RemoteTool:
    """A tool at somebody's endpoint.

    Attributes:
        name: `server.tool`, as the router calls it.
        url: The MCP endpoint (streamable HTTP).
        description: What it says that it does, cleaned.
        parameters: Schema of its arguments, made safe.
        timeout_s: Longest wait for a call, in (0, `MAX_TIMEOUT_S`].
        cents: Price of a call that was answered, >= 0.
        roles: Callers need one of them.
        added_ms: When it was added, ms since 1970 UTC.
    """

    name: str
    url: str
    description: str
    parameters: Mapping[str, Any]
    timeout_s: float
    cents: float
    roles: tuple[str, ...]
    added_ms: int

    def schema(self) -> dict[str, Any]:
        """As an OpenAI tool; the words are marked as the endpoint's own."""
        server = self.name.partition(".")[0]
        says = f"External tool of {server}, described by its owner as: {self.description}"
        function = {"name": self.name, "description": says, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


class RemoteToolStore:
    """All run-time tools, in the operational database.

    Args:
        engine: The database.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def read(self) -> tuple[RemoteTool, ...]:
        """All of them, in the order of their names."""
        query = select(_remote_tools).order_by(_remote_tools.c.name)
        with self.engine.connect() as connection:
            return tuple(_tool(row) for row in connection.execute(query).mappings())

    def replace(self, tools: Sequence[RemoteTool]) -> None:
        """Store tools; those of the same names are replaced."""
        with self.engine.begin() as connection:
            connection.execute(_named([tool.name for tool in tools]))
            connection.execute(_remote_tools.insert(), [_row(tool) for tool in tools])

    def delete(self, names: Sequence[str]) -> None:
        """Delete tools by name; those that are not there are passed over."""
        with self.engine.begin() as connection:
            connection.execute(_named(names))


def _named(names: Sequence[str]) -> Any:
    return delete(_remote_tools).where(_remote_tools.c.name.in_(list(names)))


def _row(tool: RemoteTool) -> dict[str, Any]:
    values = asdict(tool)
    return {**values, "parameters": json.dumps(tool.parameters), "roles": json.dumps(tool.roles)}


def _tool(row: Mapping[Any, Any]) -> RemoteTool:
    values = dict(row)
    values["parameters"] = json.loads(values["parameters"])
    values["roles"] = tuple(json.loads(values["roles"]))
    return RemoteTool(**values)
