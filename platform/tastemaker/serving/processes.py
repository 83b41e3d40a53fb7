"""Operating-system processes of servers: started in their own session, found and stopped whole.

Linux only: reads /proc and asks the kernel to kill a server whose reconciler is gone.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tastemaker.core.errors import ServiceError
from tastemaker.core.lifetime import OWNER

MARK = "TASTEMAKER_SUPERVISED_HOME"  # in the environment of every server: whose it is
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Identity:
    """A process that is told from a later one with the same number.

    Attributes:
        pid: Process number.
        started: Clock ticks after boot at which it started.
    """

    pid: int
    started: int

    def alive(self) -> bool:
        """True while this very process runs (a zombie does not)."""
        return identity(self.pid) == self


def identity(pid: int) -> Identity | None:
    """Who has this process number now; None for nobody and for a zombie."""
    fields = _stat(pid)
    return Identity(pid, int(fields[19])) if fields and fields[0] not in "ZX" else None


def start(
    command: Iterable[str], environment: Mapping[str, str], log: Path, *, home: Path
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own; it ends when the calling thread's process ends.

    Args:
        command: Program and arguments.
        environment: Its whole environment.
        log: Where its output is appended.
        home: Whose server it is.
    """
    marked = {**environment, MARK: str(home), OWNER: str(os.getpid())}
    parent = os.getpid()

    def tie_to_parent() -> None:  # runs between fork and exec
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)

    with log.open("ab") as output:
        return subprocess.Popen(
            list(command),
            env=marked,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=tie_to_parent,
        )


def session_members(session: int) -> list[Identity]:
    """Live processes of a session."""
    found = []
    for pid in _pids():
        fields = _stat(pid)
        if fields and int(fields[3]) == session and fields[0] not in "ZX":
            found.append(Identity(pid, int(fields[19])))
    return found


def marked_members(home: Path) -> list[Identity]:
    """Live processes that were started as servers of a home, their children included."""
    wanted = f"{MARK}={home}".encode()
    sessions = set()
    for pid in _pids():
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in variables and (fields := _stat(pid)):
            sessions.add(int(fields[3]))
    # by session, because a process that renames itself (vLLM's engine) overwrites its environment
    return [who for session in sorted(sessions) for who in session_members(session)]


def stop(members: Iterable[Identity], *, grace_s: float) -> None:
    """End processes: SIGTERM, then SIGKILL for those still there after `grace_s`."""
    left = [who for who in members if who.alive()]
    for number, wait_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, 5.0)):
        for who in left:
            send(who, number)
        until = time.monotonic() + wait_s
        while left := [who for who in left if who.alive()]:
            if time.monotonic() > until:
                break
            time.sleep(0.05)


def send(who: Identity, number: int) -> None:
    """Signal a process, unless its number belongs to another one by now."""
    if who.alive():
        with suppress(ProcessLookupError):
            os.kill(who.pid, number)


def port_holder(port: int) -> str | None:
    """Who listens on a TCP port of this machine: "pid 12 (python -m x)", or None for nobody.

    The process of another user cannot be seen; then it is "another process".
    """
    inodes = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    if not inodes:
        return None
    for pid in _pids():
        if inodes.intersection(_open_files(pid)):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            return f"pid {pid} ({b' '.join(words).decode(errors='replace').strip()[:80]})"
    return "another process"


def port_taken(port: int, name: str, holder: str) -> ServiceError:
    """The error of a server whose port somebody else has."""
    return ServiceError(
        f"port {port}, which {name} needs, is in use by {holder}; "
        "stop that process or choose another --port"
    )


def _open_files(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):  # gone, or another user's
        for number in os.listdir(folder):
            with suppress(OSError):  # closed meanwhile
                yield os.readlink(f"{folder}/{number}")


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/<pid>/stat after the command's name: state, parent, group, session, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
