"""What the reconciler says of itself in run/reconciler.json, and the table that people read."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from tastemaker.core.home import Home, write_text
from tastemaker.serving.processes import Identity
from tastemaker.serving.slots import Slot

_COLUMNS = ("model", "state", "bundle", "port", "pid", "restarts", "since", "canary", "last event")


@dataclass(frozen=True)
class Row:
    """One running version of a server.

    Attributes:
        name: Of the server.
        key: Its log's name too; ends in -canary for a canary.
        state: waiting, starting, ready, crashed, failed, draining, stopping or stopped.
        bundle: What it serves, may be empty.
        port: Stable address.
        pid: Of its process; 0 for none.
        process_port: Where that process listens; another one after each start.
        restarts: Since this version was started.
        since: Seconds since 1970 at which it came into this state.
        weight: Its share of the requests, percent.
        canary: Whether it is tried beside the stable one.
        event: What happened last.
        log: Path.
        version: Digest of what its process is.
        current: Whether requests are led to it; not while it is tried, or finishes its last ones.
    """

    name: str
    key: str
    state: str
    bundle: str
    port: int
    pid: int
    process_port: int
    restarts: int
    since: float
    weight: int
    canary: bool
    event: str
    log: str
    version: str
    current: bool


def row(slot: Slot, *, current: bool) -> Row:
    """A slot as it is now.

    Args:
        slot: Which.
        current: Whether requests are led to it.
    """
    service = slot.service
    return Row(
        name=service.name,
        key=service.key,
        state=slot.state,
        bundle=service.bundle,
        port=service.port,
        pid=slot.pid,
        process_port=slot.port,
        restarts=slot.restarts,
        since=round(slot.since, 3),
        weight=service.weight,
        canary=service.canary,
        event=slot.event,
        log=str(slot.log),
        version=service.version,
        current=current,
    )


def read(home: Home) -> dict[str, Any]:
    """The state file's content; empty where there is none."""
    try:
        return dict(json.loads(home.path("run", "reconciler.json").read_text()))
    except (FileNotFoundError, json.JSONDecodeError):
        return {}


def write(home: Home, content: dict[str, Any]) -> None:
    """Replace the state file at once."""
    write_text(home.path("run", "reconciler.json"), json.dumps(content, indent=1))


def forget(home: Home) -> None:
    """Remove the state file."""
    home.path("run", "reconciler.json").unlink(missing_ok=True)


def reconciler(home: Home) -> Identity | None:
    """The live reconciler of a home."""
    content = read(home)
    who = Identity(content["pid"], content["pid_started"]) if content else None
    return who if who and who.alive() else None


def table(content: dict[str, Any]) -> str:
    """The state for people: a row a version, then the reconciler itself."""
    rows = [_COLUMNS, *(_cells(one) for one in content["servers"])]
    widths = [max(len(cells[i]) for cells in rows) for i in range(len(_COLUMNS))]
    lines = [_aligned(cells, widths) for cells in rows]
    lines.append(f"reconciler pid {content['pid']}, since {_time(content['started'])}")
    if content.get("repository"):
        lines.append(content["repository"])
    if content["outcome"]:
        lines.append(content["outcome"])
    return "\n".join(lines)


def _cells(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        one["key"],
        one["state"],
        one["bundle"] or "-",
        str(one["port"]),
        str(one["pid"]),
        str(one["restarts"]),
        _time(one["since"]),
        f"{one['weight']}%" if one["canary"] else "-",
        one["event"] or "-",
    )


def _aligned(cells: Iterable[str], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
