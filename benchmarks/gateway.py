"""What the gateway itself adds to a turn, and what reading a user's features takes.

    TASTEMAKER_HOME=... python -m benchmarks.gateway        (after the chain; 3 minutes)

50 conversations at once, each of users of the catalogue: a turn, a pause of 2 seconds on average,
and so on. The gateway is the real one with everything on: features by Feast on SQLite, database,
ledger, traces. The model servers hold each request for a fixed time and count how long it really
was (benchmarks/stub_servers.py). The client first makes the five requests of a turn itself, without
a gateway: what it waits beyond the models' time is what HTTP on this machine costs (the baseline).
The overhead of a turn is what its client waits beyond the models' time and the baseline's median.
All three processes share the machine.
"""

import asyncio
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import numpy as np

from benchmarks import feature_reads
from benchmarks.rows import row, save
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.examples import sample_users
from tastemaker.core.home import Home

COMMAND = "python -m benchmarks.gateway"
CONVERSATIONS, TURNS, WARM_UP, THINK_S = 50, 12, 2, 2.0
GOALS = {"p50": 10.0, "p99": 30.0}

Turn = Callable[[httpx.AsyncClient, str, str | None, str], Awaitable[str]]


def main() -> None:
    home = Home.open()
    catalogue = Catalogue.live(home, "local")
    users = [user["user_id"] for user in sample_users(catalogue)]
    with tempfile.TemporaryDirectory() as folder:
        copy = _copy(home, Path(folder) / "home")  # its conversations and events go with it
        stub_port, port = _free_port(), _free_port()
        stub = _start("benchmarks.stub_servers", [str(stub_port)], copy)
        urls = [f"http://127.0.0.1:{stub_port}"]
        words = ["--port", str(port)]
        for name in ("encoder", "retrieval", "recommender", "router"):
            words += [f"--{name}-url", urls[0]]
        gateway = _start("tastemaker.assistant.gateway", words, copy)
        try:
            _wait(f"http://127.0.0.1:{stub_port}/ready", stub)
            _wait(f"http://127.0.0.1:{port}/healthz", gateway)
            direct = asyncio.run(_measure(urls[0], urls[0], users, _directly))
            waited = asyncio.run(_measure(f"http://127.0.0.1:{port}", urls[0], users, _through))
            through = waited - np.median(direct)
        finally:
            for process in (gateway, stub):
                process.terminate()
                process.wait(20)
    rows = []
    for name, percentile in (("p50", 50), ("p99", 99)):
        value, baseline = (float(np.percentile(ms, percentile)) for ms in (through, direct))
        print(f"overhead {name}: {value:.1f} ms (model calls alone {baseline:.1f} ms)")
        rows.append(
            row(
                f"overhead_{name}_ms, {CONVERSATIONS} conversations (baseline: no gateway)",
                value,
                baseline=baseline,
                goal=GOALS[name],
                unit="ms",
                seeds=1,
                command=COMMAND,
            )
        )
    save("gateway", [*rows, *feature_reads.measure()])


async def _measure(url: str, stub: str, users: list[str], turn: Turn) -> np.ndarray:
    """Milliseconds of each turn beyond the time that the model servers held its requests."""
    limits = httpx.Limits(max_connections=CONVERSATIONS * 2, max_keepalive_connections=200)
    waited: dict[str, float] = {}
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30, trust_env=False) as http:

        async def converse(number: int) -> None:
            draw = random.Random(number)
            conversation = None
            for place in range(TURNS + WARM_UP):
                await asyncio.sleep(draw.expovariate(1 / THINK_S))
                trace = secrets.token_hex(16)
                start = time.perf_counter()
                conversation = await turn(http, users[number % len(users)], conversation, trace)
                if place >= WARM_UP:
                    waited[trace] = time.perf_counter() - start

        await asyncio.gather(*(converse(number) for number in range(CONVERSATIONS)))
        held = [(await http.get(f"{stub}/held/{trace}")).json()["held_s"] for trace in waited]
    return (np.array(list(waited.values())) - np.array(held)) * 1000


def _parent(trace: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{'0' * 15}1-01"}


async def _through(http: httpx.AsyncClient, user: str, conversation: str | None, trace: str) -> str:
    body = {
        "messages": [{"role": "user", "content": "show me a lamp"}],
        "user": user,
        "tastemaker": {"conversation": conversation},
    }
    reply = await http.post("/v1/chat/completions", json=body, headers=_parent(trace))
    reply.raise_for_status()
    ours = reply.json()["tastemaker"]
    assert [step["tool"] for step in ours["steps"]] == ["search_items", "answer"], ours
    assert not ours["notices"], ours["notices"]
    return str(ours["conversation"])


async def _directly(
    http: httpx.AsyncClient, user: str, conversation: str | None, trace: str
) -> str:
    for name in ("recommender", "router", "encoder", "retrieval", "router"):
        path = "/v1/chat/completions" if name == "router" else f"/v1/models/{name}:predict"
        body = {"messages": [{"role": "user", "content": "show me a lamp"}]}
        reply = await http.post(path, json=body, headers=_parent(trace))
        reply.raise_for_status()
    return ""


def _copy(home: Home, to: Path) -> Home:
    """The home with what a gateway writes of its own; what it only reads is linked."""
    to.mkdir()
    for path in home.root.iterdir():
        if path.name in ("features", "run"):
            shutil.copytree(path, to / path.name, ignore=shutil.ignore_patterns("logs", "*.lock"))
        else:
            (to / path.name).symlink_to(path)
    return Home(to)


def _start(module: str, words: list[str], home: Home) -> "subprocess.Popen[bytes]":
    environment = {**os.environ, "TASTEMAKER_HOME": str(home.root), "OMP_NUM_THREADS": "1"}
    for name in ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR"):
        environment.pop(name, None)  # Feast, imported here, sets them for itself
    return subprocess.Popen([sys.executable, "-m", module, *words], env=environment)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            if httpx.get(url, timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise SystemExit(f"{url} does not answer")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
