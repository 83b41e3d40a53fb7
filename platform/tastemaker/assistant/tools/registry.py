"""Tools that an operator adds at run time by their MCP endpoint.

A tool is kept with the description and schema that it had when it was added: an endpoint cannot
change what the router is told without an operator. Each has its own time, price and roles.
"""

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from pydantic import Field
from sqlalchemy import Engine

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.identity import Caller
from tastemaker.assistant.tools import mcp_client
from tastemaker.assistant.tools.breaker import Breakers
from tastemaker.assistant.tools.endpoints import EndpointRefused, check_endpoint, check_url
from tastemaker.assistant.tools.remote_results import read_result
from tastemaker.assistant.tools.remote_schemas import (
    SchemaRefused,
    check_name,
    description,
    safe_schema,
)
from tastemaker.assistant.tools.remote_tools import RemoteTool, RemoteToolStore, Terms
from tastemaker.assistant.tools.situation import CallError, ToolResult
from tastemaker.core.config import Config
from tastemaker.core.database import in_thread, work
from tastemaker.core.errors import DataError, NotFound
from tastemaker.router.messages import clean_text

_MAX_ARGUMENT_BYTES = 8192
_LIST_TIMEOUT_S = 15.0  # to ask an endpoint for its tools
_FRESH_S = 1.0  # what another process of ours adds is seen after so long
_log = logging.getLogger(__name__)


class RegistryConfig(Config):
    """What may be added, and when a tool that fails rests."""

    allow_private_endpoints: bool | None = None  # None: only where no credentials are asked
    max_tools: int = Field(default=64, ge=0, le=128)  # that the router is shown
    failures: int = Field(default=3, ge=1)  # of an endpoint in a row, until it rests
    rest_s: float = Field(default=15.0, gt=0)

    def for_auth(self, auth: str) -> "RegistryConfig":
        """With the question of private endpoints settled: yes for `open`, else no."""
        if self.allow_private_endpoints is not None:
            return self
        return self.model_copy(update={"allow_private_endpoints": auth == "open"})


class ToolFailed(CallError):
    """A run-time tool that is down, too slow or answers nonsense; `notice` is for the user."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name} is not available: {reason}; go on without it")
        self.notice = f"The tool {name} is not available right now."


@dataclass(frozen=True)
class Added:
    """What came of adding an endpoint.

    Attributes:
        tools: Those that can be called now.
        skipped: Why others cannot, by their name.
    """

    tools: tuple[RemoteTool, ...]
    skipped: Mapping[str, str]


class Registry:
    """The run-time tools.

    Args:
        engine: The operational database.
        catalogue: Whose items a tool may name in its results.
        config: Limits.
    """

    def __init__(self, engine: Engine, catalogue: Catalogue, config: RegistryConfig) -> None:
        self.store, self.catalogue, self.config = RemoteToolStore(engine), catalogue, config
        self.allow_private = config.allow_private_endpoints is True
        self.breakers = Breakers(config.failures, config.rest_s)
        self._held: tuple[RemoteTool, ...] = ()
        self._read_s, self._looking = -1e9, Lock()

    async def look(self) -> None:
        """See what other processes added or removed; before a router is asked, say."""
        if time.monotonic() - self._read_s > _FRESH_S:
            await work(self.store.engine, self._look)

    def tools(self) -> tuple[RemoteTool, ...]:
        """All tools, in the order of their names, as the last look or change here found them."""
        return self._held

    def schemas(self, caller: Caller) -> list[dict[str, Any]]:
        """OpenAI definitions of the tools that a caller may use and that are not resting."""
        return [
            tool.schema() for tool in self._allowed(caller) if not self.breakers.resting_s(tool.url)
        ]

    def enabled(self, tool: RemoteTool) -> bool:
        """Whether a tool may be called now: its endpoint did not fail time and again."""
        return not self.breakers.resting_s(tool.url)

    async def add(self, name: str, url: str, terms: Terms) -> Added:
        """Add the tools of an endpoint; those of that name that are there are replaced.

        Args:
            name: `server` for all of its tools, or `server.tool` for one.
            url: The MCP endpoint.
            terms: Time, price and roles.

        Raises:
            DataError: A name, URL or term out of range, an endpoint that may not be called or
                does not answer, a tool that cannot be offered, or too many tools.
        """
        terms.check()
        server, _, only = name.partition(".")
        check_name(server, "the server")
        if "." in name:
            check_name(only, "the tool")
        url = check_url(url)
        await check_endpoint(url, allow_private=self.allow_private)
        try:
            offered = await mcp_client.list_tools(
                url, allow_private=self.allow_private, timeout_s=_LIST_TIMEOUT_S
            )
        except mcp_client.EndpointDown as down:
            raise DataError(f"the endpoint is no MCP server that answers: {down}") from None
        found, skipped = self._read(
            server, url, terms, [t for t in offered if only in ("", t.name)]
        )
        if not found:
            why = "; ".join(f"{tool}: {reason}" for tool, reason in skipped.items())
            raise DataError(
                f"the endpoint has no tool that can be added as {name!r}. {why}".strip()
            )
        await in_thread(self.store.engine, self._store, found)
        self.breakers.end(url, well=True)
        return Added(tuple(found), skipped)

    async def remove(self, name: str) -> int:
        """Remove `server.tool`, or all tools of `server`; returns how many.

        Raises:
            NotFound: There is none of that name.
        """
        return await in_thread(self.store.engine, self._delete, name)

    async def call(
        self, name: str, arguments: Mapping[str, Any], caller: Caller, timeout_s: float
    ) -> ToolResult:
        """Call a tool.

        Args:
            name: `server.tool`.
            arguments: As the router gave them.
            caller: Needs one of the tool's roles.
            timeout_s: Left for the turn; the tool's own limit counts as well.

        Returns:
            Items of the catalogue that the result names, and its text, which is data.

        Raises:
            CallError: No such tool for this caller, arguments that do not follow its schema,
                or an error that the tool reports.
            ToolFailed: It is down, too slow, or answers what cannot be used.
        """
        tool = next((tool for tool in self._allowed(caller) if tool.name == name), None)
        if tool is None:
            raise CallError(f"unknown tool {clean_text(name)[:128]!r}")
        _check(tool, arguments)
        rest_s = self.breakers.begin(tool.url)
        if rest_s:
            raise ToolFailed(name, f"it failed before and rests for {rest_s:.0f} s")
        left_s, well = max(0.01, min(tool.timeout_s, timeout_s)), None
        try:
            reply = await mcp_client.call_tool(
                tool.url,
                name.partition(".")[2],
                arguments,
                allow_private=self.allow_private,
                timeout_s=left_s,
            )
            well = True
        except (mcp_client.EndpointDown, EndpointRefused) as down:
            _log.warning("run-time tool %s: %s", name, down)
            well = None if left_s < tool.timeout_s else False  # the turn's own haste is no fault
            raise ToolFailed(name, str(down)) from None
        finally:
            self.breakers.end(tool.url, well=well)
        return read_result(tool.name, reply, self.catalogue, cents=tool.cents)

    async def close(self) -> None:
        """Nothing is kept open between calls."""

    def _allowed(self, caller: Caller) -> tuple[RemoteTool, ...]:
        return tuple(tool for tool in self.tools() if caller.roles & set(tool.roles))

    def _look(self) -> tuple[RemoteTool, ...]:
        with self._looking:  # what was read later is held
            self._held, self._read_s = self.store.read(), time.monotonic()
            return self._held

    def _read(
        self, server: str, url: str, terms: Terms, offered: Sequence[Any]
    ) -> tuple[Any, dict[str, str]]:
        found, skipped = [], {}
        now_ms = int(time.time() * 1000)
        for tool in offered:
            try:
                name = f"{server}.{check_name(tool.name, 'the tool')}"
                parameters = safe_schema(tool.input_schema)
            except SchemaRefused as refused:
                skipped[clean_text(tool.name)[:60]] = str(refused)
                continue
            says = description(tool.description or tool.title)
            found.append(RemoteTool(name, url, says, parameters, **asdict(terms), added_ms=now_ms))
        return found, skipped

    def _store(self, tools: Sequence[RemoteTool]) -> None:
        names = [tool.name for tool in tools]
        others = [tool for tool in self._look() if tool.name not in names]
        if len(others) + len(tools) > self.config.max_tools:
            many = len(others) + len(tools)
            raise DataError(f"{many} run-time tools; at most {self.config.max_tools}")
        self.store.replace(tools)
        self._look()

    def _delete(self, name: str) -> int:
        gone = [t.name for t in self._look() if t.name == name or t.name.startswith(f"{name}.")]
        if not gone:
            raise NotFound(f"no run-time tool {name[:128]!r}")
        self.store.delete(gone)
        self._look()
        return len(gone)


def _check(tool: RemoteTool, arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that do not follow the schema; names the argument and the rule."""
    if len(json.dumps(dict(arguments))) > _MAX_ARGUMENT_BYTES:
        raise CallError(f"{tool.name}: arguments longer than {_MAX_ARGUMENT_BYTES} bytes")
    fault = next(
        iter(Draft202012Validator(dict(tool.parameters)).iter_errors(dict(arguments))), None
    )
    if fault is not None:
        where = ".".join([tool.name, *(str(part) for part in fault.absolute_path)])
        raise CallError(f"{where}: {clean_text(fault.message)[:200]}")
