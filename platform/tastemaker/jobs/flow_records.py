"""What flows have done: one small file a flow and key, so that nothing is done twice.

    flows/<flow>/<key>.json   running, done or failed; attempts; what came of it

The key is content (digests of data and bundles), and the file lies in the home: a new Prefect
server, or none, changes nothing. A process that was killed leaves `running` behind and holds no
lock: the next one with that key goes on, and what it repeats is content-addressed itself.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from tastemaker.core import digests
from tastemaker.core.errors import TastemakerError
from tastemaker.core.home import Home

FOLDER = "flows"
State = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class FlowRecord:
    """What became of one flow and key.

    Attributes:
        flow: Its name.
        key: Digest of what it works on.
        state: Of the last attempt.
        attempts: Begun, the last one included.
        began_ms, ended_ms: Of the last attempt; `ended_ms` is 0 while it runs.
        until_ms: When an attempt on another machine counts as lost.
        host: Machine of the last attempt.
        pid: Its process there.
        result: What came of it, as JSON.
        error: Why the last attempt failed.
    """

    flow: str
    key: str
    state: State = "running"
    attempts: int = 0
    began_ms: int = 0
    ended_ms: int = 0
    until_ms: int = 0
    host: str = ""
    pid: int = 0
    result: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a flow says at its end.

    Attributes:
        record: What is kept.
        fresh: Whether this call did the work.
        text: For a person.
    """

    record: FlowRecord
    fresh: bool
    text: str

    @property
    def done(self) -> bool:
        """Whether the work is done, by this call or an earlier one."""
        return self.record.state == "done"


def once(
    home: Home,
    flow: str,
    key: str,
    work: Callable[[], Mapping[str, Any]],
    *,
    deadline_s: float,
    max_attempts: int = 3,
    again: bool = False,
) -> Outcome:
    """Do the work of a key unless it is done or under way.

    Args:
        home: Holds the records.
        flow: Name of the flow.
        key: Digest of all that the work depends on.
        work: Does it; returns what came of it as JSON. Must bear being begun a second time.
        deadline_s: After this an attempt on another machine counts as lost.
        max_attempts: Of one key; what fails every time is not tried for ever.
        again: Do it even where it was given up.

    Returns:
        What came of it, and whether this call did it.

    Raises:
        TastemakerError: It failed `max_attempts` times already; or what the work raised.
    """
    with _held(home, flow, key) as free:
        before = read(home, flow, key) or FlowRecord(flow, key)
        if before.state == "done":
            return Outcome(before, False, f"{flow} {key}: done before; nothing to do")
        if not free or _elsewhere(before):
            where = f"process {before.pid} on {before.host or 'this machine'}"
            return Outcome(before, False, f"{flow} {key}: under way ({where}); nothing to do")
        if before.attempts >= max_attempts and not again:
            raise TastemakerError(
                f"{flow} {key} was begun {before.attempts} times and never ended well (last: "
                f"{before.error or 'killed'}); mend that, then `tastemaker flows run {flow} "
                "--again`"
            )
        return _attempt(home, before, work, deadline_s)


def key_of(*parts: Any) -> str:
    """The key of a flow: a digest of JSON values."""
    return digests.of_json(list(parts))


def read(home: Home, flow: str, key: str) -> FlowRecord | None:
    """The record of a flow and key; None where it was never begun."""
    text = home.read_text(FOLDER, flow, f"{key}.json")
    return FlowRecord(**json.loads(text)) if text else None


def records(home: Home, flow: str) -> list[FlowRecord]:
    """All records of a flow, oldest first."""
    names = [name for name in home.names(FOLDER, flow) if name.endswith(".json")]
    found = [read(home, flow, name.removesuffix(".json")) for name in names]
    return sorted((one for one in found if one), key=lambda one: (one.began_ms, one.key))


def write(home: Home, record: FlowRecord) -> None:
    """Keep a record."""
    text = json.dumps(asdict(record), indent=1, sort_keys=True)
    home.write_text(text, FOLDER, record.flow, f"{record.key}.json")


def is_under_way(home: Home, record: FlowRecord) -> bool:
    """Whether some process works on it: here by its lock, elsewhere until its deadline."""
    if record.state != "running":
        return False
    with _held(home, record.flow, record.key) as free:
        return not free or _elsewhere(record)


def _attempt(
    home: Home, before: FlowRecord, work: Callable[[], Mapping[str, Any]], deadline_s: float
) -> Outcome:
    now_ms = _now_ms()
    running = replace(
        before,
        state="running",
        attempts=before.attempts + 1,
        began_ms=now_ms,
        ended_ms=0,
        until_ms=now_ms + int(deadline_s * 1000),
        host=socket.gethostname(),
        pid=os.getpid(),
        error="",
    )
    write(home, running)
    try:
        result = dict(work())
    except BaseException as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        write(home, replace(running, state="failed", ended_ms=_now_ms(), error=reason[:500]))
        raise
    done = replace(running, state="done", ended_ms=_now_ms(), result=result)
    write(home, done)
    return Outcome(done, True, f"{before.flow} {before.key}: done")


def _elsewhere(record: FlowRecord) -> bool:
    """A lock is seen on its own machine alone; another one is given until its deadline."""
    other = record.host not in ("", socket.gethostname())
    return record.state == "running" and other and _now_ms() < record.until_ms


@contextmanager
def _held(home: Home, flow: str, key: str) -> Iterator[bool]:
    """Hold the lock of a key; False where another process of this machine does."""
    with home.path("run", "flows", f"{flow}-{key}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _now_ms() -> int:
    return int(time.time() * 1000)
