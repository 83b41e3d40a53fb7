"""What the stable address adds to a request: the same server asked directly and through it.

    python -m benchmarks.proxy        (about a minute)

Server, reconciler (whose process holds the address) and client are a process each. Requests go in
turn to the one and to the other over one kept connection each: 600 bytes there, 3 kB back, as much
as a search takes. Then 16 at once, each way for itself. Medians over rounds; a busy machine shows
in both.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

import aiohttp

from benchmarks.rows import row, save
from benchmarks.servers import core_s
from tastemaker.core.home import Home
from tastemaker.serving import control, state
from tastemaker.serving.asked import Asked
from tastemaker.serving.services import PORT, Service
from tastemaker.serving.slots import free_port

COMMAND = "python -m benchmarks.proxy"
ROUNDS, PAIRS, AT_ONCE, BURST = 5, 400, 16, 1600
BODY = b'{"instances": [{"text": "' + b"blue lamp " * 57 + b'"}]}'
SERVER = """
import sys, uvicorn
ANSWER = b'{"predictions": [' + b'0.123456, ' * 300 + b'0]}'
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        (script := Path(folder) / "server.py").write_text(SERVER)
        home = Home.open(f"{folder}/home")
        service = Service("one", (sys.executable, str(script), PORT), free_port(), "/")
        control.run(home, Asked(services=(service,)))
        try:
            direct = f"http://127.0.0.1:{state.read(home)['servers'][0]['process_port']}"
            one, many = asyncio.run(measure(direct, service.url))
            core_ms = asyncio.run(core_ms_of(state.read(home)["pid"], service.url))
        finally:
            control.down(home)
    added = one[1] - one[0]
    print(f"one at a time: {one[0]:.2f} ms directly, {one[1]:.2f} ms through, {added:.2f} ms added")
    print(f"{AT_ONCE} at once: {many[0]:.0f} 1/s directly, {many[1]:.0f} 1/s through")
    print(f"{core_ms:.2f} ms of a core a request")
    settings = {"seeds": ROUNDS, "command": COMMAND}
    what = "through the stable address (baseline: directly)"
    core = "core time that the stable address takes of a request"
    rows = [
        row(f"median request {what}", one[1], baseline=one[0], goal=None, unit="ms", **settings),
        row(
            f"requests {what}, {AT_ONCE} at once",
            many[1],
            baseline=many[0],
            goal=None,
            unit="1/s",
            **settings,
        ),
        row(core, core_ms, baseline=None, goal=0.5, unit="ms", **settings),
    ]
    save("proxy", rows)


async def measure(direct: str, through: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Medians over rounds.

    Returns:
        (directly, through): ms of a request alone, then requests a second at once.
    """
    ms: tuple[list[float], list[float]] = ([], [])
    rates: tuple[list[float], list[float]] = ([], [])
    async with aiohttp.ClientSession() as client:
        await burst(client, direct), await burst(client, through)  # warm
        for _ in range(ROUNDS):
            taken: tuple[list[float], list[float]] = ([], [])
            for _ in range(PAIRS):
                for url, times in zip((direct, through), taken, strict=True):
                    times.append(await one(client, url))
            for times, medians in zip(taken, ms, strict=True):
                medians.append(statistics.median(times))
            for url, found in zip((direct, through), rates, strict=True):
                found.append(await burst(client, url))
    middle = statistics.median
    return (middle(ms[0]), middle(ms[1])), (middle(rates[0]), middle(rates[1]))


async def core_ms_of(pid: int, url: str) -> float:
    """Core milliseconds of the process that holds the address, a request."""
    async with aiohttp.ClientSession() as client:
        before = core_s(pid)
        for _ in range(ROUNDS):
            await burst(client, url)
        return (core_s(pid) - before) * 1000 / (ROUNDS * BURST)


async def one(client: aiohttp.ClientSession, url: str) -> float:
    """Milliseconds of one request."""
    start = time.perf_counter()
    async with client.post(url, data=BODY) as reply:
        assert reply.status == 200
        assert len(await reply.read()) > 3000
    return (time.perf_counter() - start) * 1000


async def burst(client: aiohttp.ClientSession, url: str) -> float:
    """Requests a second, some at once."""

    async def some() -> None:
        for _ in range(BURST // AT_ONCE):
            await one(client, url)

    start = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return BURST / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
