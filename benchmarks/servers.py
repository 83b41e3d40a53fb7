"""Server processes of a benchmark: start one, wait until it answers."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tastemaker.core.home import Home

_PATIENT_S = 120.0


@dataclass(frozen=True)
class Server:
    """A server that answers: its address and its process."""

    url: str
    process: "subprocess.Popen[bytes]"


@contextmanager
def serving(
    module: str, port: int, words: list[str], home: Home, health: str = "/healthz"
) -> Iterator[Server]:
    """Start a server and wait until it answers; end it with the block.

    Args:
        module: Run as a process.
        port: That `words` make it listen on.
        words: Its command line.
        home: Its TASTEMAKER_HOME.
        health: Path that answers 200 when it is ready.
    """
    process = _start(module, words, home)
    try:
        _wait(f"http://127.0.0.1:{port}{health}", process)
        yield Server(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(20)


def _start(module: str, words: list[str], home: Home) -> "subprocess.Popen[bytes]":
    """Run a module as a process, on one thread, with a home."""
    environment = {**os.environ, "TASTEMAKER_HOME": str(home.root), "OMP_NUM_THREADS": "1"}
    for name in ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR"):
        environment.pop(name, None)  # Feast, imported by its parent, sets them for itself
    return subprocess.Popen([sys.executable, "-m", module, *words], env=environment)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Until an address answers 200, and not that a part is missing yet.

    Raises:
        SystemExit: It does not, or the process has ended.
    """
    until = time.monotonic() + _PATIENT_S
    while time.monotonic() < until and process.poll() is None:
        try:
            reply = httpx.get(url, timeout=2, trust_env=False)
            if reply.status_code == 200 and reply.json().get("status") != "degraded":
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def core_s(pid: int) -> float:
    """Core seconds that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
