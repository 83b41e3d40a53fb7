"""Small real servers and a client of its own process, to run a reconciler with."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from tastemaker.core.home import Home
from tastemaker.serving import control, state
from tastemaker.serving.asked import Asked
from tastemaker.serving.services import PORT, Service, url_of
from tastemaker.serving.surroundings import Timing

QUICK = Timing(start_s=15, settle_s=0.3, drain_s=10, stop_s=2, poll_s=0.2, backoff_s=0.2)
SERVER = str(Path(__file__).with_name("small_server.py"))
CLIENT = str(Path(__file__).with_name("small_client.py"))
SPACE = "5" * 16


def server(name: str, port: int, bundle: str = "a" * 16, *words: str, **more: Any) -> Service:
    """A service that answers with its bundle; words are what `small_server.py` takes."""
    command = (sys.executable, SERVER, "--port", PORT, "--bundle", bundle, *words)
    return Service(name, command, port, "/health", bundle=bundle, **more)


def front(port: int, *uses: str, **more: Any) -> Service:
    """A service that asks others and answers with what they say."""
    words = [word for name in uses for word in ("--ask", url_of(name))]
    command = (sys.executable, SERVER, "--port", PORT, *words)
    return Service("gateway", command, port, "/health", repeatable=False, **more)


def canary(stable: Service, bundle: str, weight: int) -> list[Service]:
    """The stable version with its share, and the canary."""
    other = replace(server(stable.name, stable.port, bundle), canary=True, weight=weight)
    return [replace(stable, weight=100 - weight), other]


def up(home: Home, *wanted: Service, timing: Timing = QUICK) -> None:
    control.run(home, Asked(services=wanted, timing=timing))


def ask_for(home: Home, *wanted: Service) -> None:
    """Change what is wanted as a promotion does: the file, and nobody is told."""
    replace(Asked.read(home), services=wanted, id="promoted").write(home)


def rows(home: Home) -> dict[str, dict[str, Any]]:
    """Current row of the state by key."""
    return {one["key"]: one for one in state.read(home).get("servers", []) if one["current"]}


def answers(service: Service, path: str = "/") -> bool:
    try:
        url = f"http://127.0.0.1:{service.port}{path}"
        return httpx.get(url, timeout=2, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def bundle_at(service: Service) -> str:
    reply = httpx.get(f"http://127.0.0.1:{service.port}/", timeout=5, trust_env=False)
    return str(reply.raise_for_status().json()["bundle"])


def eventually(what: Callable[[], bool], timeout_s: float = 20) -> bool:
    until = time.monotonic() + timeout_s
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


@dataclass
class Seen:
    """What a client saw.

    Attributes:
        statuses: Count by status; "error: ..." for a request without an answer.
        bundles: Count by bundle that answered.
        in_order: Bundle of each answer.
        mixed: Answers that came from two embedding spaces.
        per_second: Requests sent, 1/s.
    """

    statuses: Counter[str]
    bundles: Counter[str]
    in_order: list[str]
    mixed: int
    per_second: float


@contextmanager
def load(
    url: str, out: Path, *, per_second: int = 50, method: str = "POST", body: str = "{}"
) -> Iterator[Callable[[], Seen]]:
    """Requests at a steady rate from a process of its own, until the result is asked for."""
    words = [url, str(out), str(per_second), method, body]
    process = subprocess.Popen([sys.executable, CLIENT, *words])

    def seen() -> Seen:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        found = json.loads(out.read_text())
        return Seen(
            Counter(found["statuses"]),
            Counter(found["in_order"]),
            found["in_order"],
            found["mixed"],
            found["per_second"],
        )

    try:
        assert eventually(lambda: out.exists() or process.poll() is not None)
        yield seen
    finally:
        process.kill()
        process.wait()
