"""What the gateway itself adds to a turn, and what reading a user's features takes.

    TASTEMAKER_HOME=... python -m benchmarks.gateway        (after the chain; 15 minutes)

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

The gateway is measured four times over, and of each percentile the median counts. On a shared host
a virtual machine does not always run when it wants to, of which its kernel counts a part as stolen.
So a control is measured after each: the bare app, made to compute in each turn for as long as the
gateway did. Its p99 is that of the machine and of turns that meet, whoever computes; what the
gateway's has beyond it is the gateway's own stalls.
"""

import asyncio
import gc
import random
import secrets
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic_core import from_json, to_json

from benchmarks import feature_reads
from benchmarks.bare_gateway import CALLS, path_of
from benchmarks.rows import row, save
from benchmarks.servers import Server, core_s, free_port, serving
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.examples import sample_users
from tastemaker.assistant.http_client import Pool, Request
from tastemaker.core.home import Home

COMMAND = "python -m benchmarks.gateway"
CONVERSATIONS, TURNS, WARM_UP, THINK_S = 50, 12, 10, 2.0
ROUNDS = 4
GOALS = {"p50": 10.0, "p99": 30.0}

Turn = Callable[["Client", str, str | None, str], Awaitable[str]]


@dataclass(frozen=True)
class Round:
    """One measurement.

    Attributes:
        ms: Of each turn beyond the time that the model servers held its requests.
        stolen: Share of the machine's busy time that its host gave to others.
        busy_ms: Core milliseconds of a turn that the process asked took, of all its threads.
    """

    ms: np.ndarray
    stolen: float
    busy_ms: float


@dataclass
class Rounds:
    """All measurements.

    Attributes:
        direct: The five requests without a gateway.
        bare: Through an app that makes them and nothing else.
        through: Through the gateway.
        control: Through the bare app, made to compute as long as the gateway.
    """

    direct: Round
    bare: Round
    through: list[Round]
    control: list[Round]


def main() -> None:
    home = Home.open()
    catalogue = Catalogue.live(home, "local")
    users = [user["user_id"] for user in sample_users(catalogue)]
    gc.collect()
    gc.freeze()  # a collection of what is loaded here would look like the gateway's
    with tempfile.TemporaryDirectory() as folder:
        copy = _copy(home, Path(folder) / "home")  # its conversations and events go with it
        rounds = _measured(copy, users)
    rows = []

    def add(metric: str, value: float, baseline: float | None, unit: str, goal: Any = None) -> None:
        print(f"{metric}: {value:.3g} {unit}" + (f" (goal {goal:g})" if goal else ""))
        rows.append(
            row(metric, value, baseline=baseline, goal=goal, unit=unit, seeds=1, command=COMMAND)
        )

    direct = rounds.direct
    for what, found, goals in (
        ("", rounds.through, GOALS),
        (" of an app that makes the five requests alone", [rounds.bare], {}),
        (" of an app that makes them and computes as long as the gateway", rounds.control, {}),
    ):
        for name, percentile in (("p50", 50), ("p99", 99)):
            value = _middle(found, direct, percentile)
            baseline = float(np.percentile(direct.ms, percentile))
            metric = f"overhead_{name}_ms{what}, {CONVERSATIONS} conversations"
            add(f"{metric} (baseline: no gateway)", value, baseline, "ms", goals.get(name))
    busy_ms = float(np.median([one.busy_ms for one in rounds.through]))
    add(
        "core time of a turn (baseline: the five requests alone)",
        busy_ms,
        rounds.bare.busy_ms,
        "ms",
    )
    stolen = float(np.median([one.stolen for one in rounds.through]))
    add("stolen by the host, of busy time, median of the rounds", stolen, None, "share")
    save("gateway", [*rows, *feature_reads.measure()])


def _middle(rounds: list[Round], direct: Round, percentile: int) -> float:
    """Of the percentiles of each round's overhead, the median."""
    http_ms = np.median(direct.ms)
    return float(np.median([np.percentile(one.ms - http_ms, percentile) for one in rounds]))


def _measured(home: Home, users: list[str]) -> Rounds:
    stub_port, port = free_port(), free_port()
    stub_url = f"http://127.0.0.1:{stub_port}"
    words = ["--port", str(port)]
    for name in ("encoder", "retrieval", "recommender", "router"):
        words += [f"--{name}-url", stub_url]
    with serving(
        "benchmarks.stub_servers", stub_port, [str(stub_port)], home, health="/ready"
    ) as stub:
        direct = _round(stub, stub_url, users, _directly)
        with _bare(stub_url, home) as app:
            bare = _round(app, stub_url, users, _barely)
        rounds = Rounds(direct, bare, [], [])
        with serving("tastemaker.assistant.gateway", port, words, home) as gateway:
            for number in range(ROUNDS):
                rounds.through.append(_round(gateway, stub_url, users, _through))
                more_ms = max(0.0, rounds.through[-1].busy_ms - bare.busy_ms)
                with _bare(stub_url, home, more_ms) as app:
                    rounds.control.append(_round(app, stub_url, users, _barely))
                _tell(number + 1, rounds)
        return rounds


def _bare(stub: str, home: Home, busy_ms: float = 0.0) -> AbstractContextManager[Server]:
    port = free_port()
    return serving("benchmarks.bare_gateway", port, [str(port), stub, str(busy_ms)], home)


def _tell(number: int, rounds: Rounds) -> None:
    for what, found in (("gateway", rounds.through[-1]), ("control", rounds.control[-1])):
        p50, p99 = (_middle([found], rounds.direct, percentile) for percentile in (50, 99))
        said = f"overhead p50 {p50:.1f} ms, p99 {p99:.1f} ms, core {found.busy_ms:.1f} ms a turn"
        print(f"round {number}, {what}: {said}, stolen {found.stolen:.1%}", flush=True)


def _round(server: Server, stub: str, users: list[str], turn: Turn) -> Round:
    (busy, stolen), core_before_s = _jiffies(), core_s(server.process.pid)
    ms = asyncio.run(_measure(server.url, stub, users, turn))
    busy_after, stolen_after = _jiffies()
    core_ms = (core_s(server.process.pid) - core_before_s) * 1000
    num_turns = CONVERSATIONS * (TURNS + WARM_UP)
    return Round(ms, (stolen_after - stolen) / max(1, busy_after - busy), core_ms / num_turns)


def _jiffies() -> tuple[int, int]:
    """Of this machine's processors since it started: ticks with work to do, and stolen of them."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    except OSError:  # no Linux
        return 0, 0
    user, nice, system, _idle, _waiting, irq, softirq, stolen = ticks
    return user + nice + system + irq + softirq + stolen, stolen


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
