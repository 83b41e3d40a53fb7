"""What the gateway itself adds to a turn, and what reading a user's features takes.

    TASTEMAKER_HOME=... python -m benchmarks.gateway        (after the chain; 8 minutes)

50 conversations at once, each of users of the catalogue: a turn, a pause of 2 seconds on average,
and so on. The gateway is the real one with everything on: features by Feast on SQLite, database,
ledger, traces. The model servers hold each request for a fixed time and count how long it really
was (benchmarks/stub_servers.py). The client first makes the five requests of a turn itself, without
a gateway and with the gateway's own HTTP client: what it waits beyond the models' time is what HTTP
on this machine costs (the baseline). The overhead of a turn is what its client waits beyond the
models' time and the baseline's median. A bare app with our HTTP stack (benchmarks/bare_gateway.py)
that makes the five requests and nothing else is measured in the same way: what any gateway takes
here at least. The three processes of a measurement share the machine. The first ten turns
of each conversation do not count: from its hundredth turn on the gateway takes a fifth less CPU.
The gateway is measured three times over, and the median of each percentile counts: what else runs
on the host moves a single measurement by a third.
"""

import asyncio
import random
import secrets
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import from_json, to_json

from benchmarks import feature_reads
from benchmarks.bare_gateway import CALLS, path_of
from benchmarks.rows import row, save
from benchmarks.servers import free_port, start, wait
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.examples import sample_users
from tastemaker.assistant.http_client import Pool, Request
from tastemaker.core.home import Home

COMMAND = "python -m benchmarks.gateway"
CONVERSATIONS, TURNS, WARM_UP, THINK_S, ROUNDS = 50, 12, 10, 2.0, 3
GOALS = {"p50": 10.0, "p99": 30.0}

Turn = Callable[["Client", str, str | None, str], Awaitable[str]]


def main() -> None:
    home = Home.open()
    catalogue = Catalogue.live(home, "local")
    users = [user["user_id"] for user in sample_users(catalogue)]
    with tempfile.TemporaryDirectory() as folder:
        copy = _copy(home, Path(folder) / "home")  # its conversations and events go with it
        through, bare, direct = _measured(copy, users)
    rows = []
    for what, waited, goals in (
        ("", through, GOALS),
        (" of an app that makes the five requests alone", [bare], {}),
    ):
        for name, percentile in (("p50", 50), ("p99", 99)):
            rounds = [float(np.percentile(ms, percentile)) for ms in waited]
            print(f"{name}{what}, each round: {', '.join(f'{ms:.1f}' for ms in rounds)} ms")
            value, baseline = float(np.median(rounds)), float(np.percentile(direct, percentile))
            print(f"overhead {name}{what}: {value:.1f} ms (no gateway {baseline:.1f} ms)")
            rows.append(
                row(
                    f"overhead_{name}_ms{what}, {CONVERSATIONS} conversations "
                    "(baseline: no gateway)",
                    value,
                    baseline=baseline,
                    goal=goals.get(name),
                    unit="ms",
                    seeds=1,
                    command=COMMAND,
                )
            )
    save("gateway", [*rows, *feature_reads.measure()])


def _measured(home: Home, users: list[str]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Overhead of each turn in ms, by round; the bare app's; and the model calls without either."""
    stub_port, port, bare_port = free_port(), free_port(), free_port()
    stub_url, url, bare_url = (f"http://127.0.0.1:{one}" for one in (stub_port, port, bare_port))
    words = ["--port", str(port)]
    for name in ("encoder", "retrieval", "recommender", "router"):
        words += [f"--{name}-url", stub_url]
    stub = start("benchmarks.stub_servers", [str(stub_port)], home)
    started = [stub]
    try:
        wait(f"{stub_url}/ready", stub)
        direct = asyncio.run(_measure(stub_url, stub_url, users, _directly))
        started.append(start("benchmarks.bare_gateway", [str(bare_port), stub_url], home))
        wait(f"{bare_url}/healthz", started[-1])
        bare = asyncio.run(_measure(bare_url, stub_url, users, _barely))
        started.append(start("tastemaker.assistant.gateway", words, home))
        wait(f"{url}/healthz", started[-1])
        http_ms = np.median(direct)
        rounds = [asyncio.run(_measure(url, stub_url, users, _through)) for _ in range(ROUNDS)]
        return [waited - http_ms for waited in rounds], bare - http_ms, direct
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(20)


class Client:
    """Sends JSON to one address."""

    def __init__(self, url: str, http: Pool) -> None:
        self.url, self.http = url, http

    async def post(self, path: str, body: Mapping[str, Any], trace: str) -> Any:
        """What came back, as JSON."""
        parent = f"00-{trace}-{'0' * 15}1-01"
        headers = {"Content-Type": "application/json", "traceparent": parent}
        reply = await self.http.send(Request(self.url + path, 30.0, to_json(body), headers))
        assert reply.is_success, reply.body
        return from_json(reply.body)


async def _measure(url: str, stub: str, users: list[str], turn: Turn) -> np.ndarray:
    """Milliseconds of each turn beyond the time that the model servers held its requests."""
    waited: dict[str, float] = {}
    http = Pool()
    client = Client(url, http)

    async def converse(number: int) -> None:
        draw, conversation = random.Random(number), None
        for place in range(TURNS + WARM_UP):
            await asyncio.sleep(draw.expovariate(1 / THINK_S))
            trace = secrets.token_hex(16)
            start = time.perf_counter()
            conversation = await turn(client, users[number % len(users)], conversation, trace)
            if place >= WARM_UP:
                waited[trace] = time.perf_counter() - start

    try:
        await asyncio.gather(*(converse(number) for number in range(CONVERSATIONS)))
        held = [await http.send(Request(f"{stub}/held/{trace}", 30.0)) for trace in waited]
    finally:
        await http.aclose()
    held_s = np.array([from_json(reply.body)["held_s"] for reply in held])
    return (np.array(list(waited.values())) - held_s) * 1000


async def _through(client: Client, user: str, conversation: str | None, trace: str) -> str:
    body = {
        "messages": [{"role": "user", "content": "show me a lamp"}],
        "user": user,
        "tastemaker": {"conversation": conversation},
    }
    ours = (await client.post("/v1/chat/completions", body, trace))["tastemaker"]
    assert [step["tool"] for step in ours["steps"]] == ["search_items", "answer"], ours
    assert not ours["notices"], ours["notices"]
    return str(ours["conversation"])


async def _directly(client: Client, user: str, conversation: str | None, trace: str) -> str:
    for name in CALLS:
        body = {"messages": [{"role": "user", "content": "show me a lamp"}]}
        await client.post(path_of(name), body, trace)
    return ""


async def _barely(client: Client, user: str, conversation: str | None, trace: str) -> str:
    body = {"messages": [{"role": "user", "content": "show me a lamp"}]}
    await client.post("/v1/chat/completions", body, trace)
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


if __name__ == "__main__":
    main()
