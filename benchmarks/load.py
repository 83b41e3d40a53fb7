"""200 conversations of five turns against the running assistant, real models and all.

    python -m benchmarks.load [URL]        (with `make up` running; about 5 minutes on 2 cores)

From a process of its own, 16 conversations at a time. Counts errors and degraded answers, and
watches the memory of the gateway (resident set): its growth from the first fifth of the turns, when
everything is loaded and warm, to the end.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import httpx
import numpy as np

from benchmarks.rows import row, save
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.examples import sample_users, suggestions
from tastemaker.core.home import Home
from tastemaker.core.progress import Progress
from tastemaker.serving import control

COMMAND = "python -m benchmarks.load"
CONVERSATIONS, TURNS, AT_ONCE = 200, 5, 16
FOLLOW_UPS = ("more like the second one", "something cheaper", "something for me", "thanks")


def main() -> None:
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8400"
    home = Home.open()
    catalogue = Catalogue.live(home, "local")
    state = json.loads(control.status(home, as_json=True))
    pid = next(one["pid"] for one in state["servers"] if one["key"] == "gateway")
    users = [user["user_id"] for user in sample_users(catalogue)]
    run = _Load(url, pid, users, suggestions(catalogue))
    start = time.perf_counter()
    asyncio.run(run.all())
    seconds = time.perf_counter() - start
    turns = CONVERSATIONS * TURNS
    ms = np.array(run.ms)
    memory = np.array(run.memory_mib)
    warm, end = float(np.median(memory[: len(memory) // 5])), float(np.median(memory[-10:]))
    print(f"{len(ms)} turns in {seconds:.0f} s, {len(run.errors)} errors, {run.degraded} degraded")
    print(f"p50 {np.percentile(ms, 50):.0f} ms, p99 {np.percentile(ms, 99):.0f} ms")
    print(f"gateway {warm:.0f} MiB warm, {end:.0f} MiB at the end")
    for error in run.errors[:5]:
        print(error)
    title = f"{CONVERSATIONS} conversations of {TURNS} turns"
    rows = [
        _row(f"errors, {title}", len(run.errors), None, 0, "errors"),
        _row(f"turns with a part down, {title}", run.degraded, None, 0, "errors"),
        _row("turns a second", turns / seconds, None, None, "1/s"),
        _row("turn p50", float(np.percentile(ms, 50)), None, None, "ms"),
        _row("turn p99", float(np.percentile(ms, 99)), None, None, "ms"),
        _row("gateway memory at the end (baseline: warm)", end, warm, warm * 1.1, "MiB"),
    ]
    save("load", rows)


def _row(metric: str, value: float, baseline: float | None, goal: float | None, unit: str):  # type: ignore[no-untyped-def]
    return row(metric, value, baseline=baseline, goal=goal, unit=unit, seeds=1, command=COMMAND)


class _Load:
    """The conversations and what is seen of them."""

    def __init__(self, url: str, pid: int, users: list[str], openings: list[str]) -> None:
        self.url, self.pid, self.users, self.openings = url, pid, users, openings
        self.ms: list[float] = []
        self.memory_mib: list[float] = []
        self.errors: list[str] = []
        self.degraded = 0
        self.progress = Progress("turns", CONVERSATIONS * TURNS)

    async def all(self) -> None:
        gate = asyncio.Semaphore(AT_ONCE)
        async with httpx.AsyncClient(base_url=self.url, timeout=120, trust_env=False) as http:

            async def one(number: int) -> None:
                async with gate:
                    await self.converse(http, number)

            await asyncio.gather(*(one(number) for number in range(CONVERSATIONS)))

    async def converse(self, http: httpx.AsyncClient, number: int) -> None:
        conversation = None
        opening = self.openings[number % len(self.openings)]
        for question in (opening, *FOLLOW_UPS)[:TURNS]:
            body = {
                "messages": [{"role": "user", "content": question}],
                "user": self.users[number % len(self.users)],
                "tastemaker": {"conversation": conversation},
            }
            start = time.perf_counter()
            try:
                reply = await http.post("/v1/chat/completions", json=body)
                reply.raise_for_status()
                ours = reply.json()["tastemaker"]
            except (httpx.HTTPError, ValueError, KeyError) as error:
                self.errors.append(f"{question}: {type(error).__name__}: {error}")
                continue
            self.ms.append((time.perf_counter() - start) * 1000)
            self.memory_mib.append(_resident_mib(self.pid))
            self.degraded += any("not available" in notice for notice in ours["notices"])
            if conversation not in (None, ours["conversation"]):
                self.errors.append(f"{question}: the conversation changed")
            conversation = ours["conversation"]
            self.progress.update(len(self.ms))


def _resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main()
