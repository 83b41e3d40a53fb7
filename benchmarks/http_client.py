"""What a request of the gateway to a server next door costs, against aiohttp.

    TASTEMAKER_HOME=... python -m benchmarks.http_client        (after the chain; half a minute)

Both clients post the same body to the same server (benchmarks/stub_servers.py, a process of its
own; what it takes does not count), ten requests at a time, in turns of 500: processor time of this
process a request, median over the turns. Each in the way that the gateway uses or used it: one
deadline for the whole reply, a bound on its size, notice of reuse for aiohttp.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

import aiohttp
import numpy as np
import uvloop

from benchmarks.rows import row, save
from benchmarks.servers import free_port, serving
from tastemaker.assistant.http_client import MAX_REPLY_BYTES, Pool, Request
from tastemaker.core.home import Home

COMMAND = "python -m benchmarks.http_client"
ROUNDS, REQUESTS, AT_ONCE = 9, 500, 10
BODY, HEADERS = b'{"instances": []}', {"Content-Type": "application/json"}


def main() -> None:
    """Time both and write the row."""
    port = free_port()
    with (
        serving("benchmarks.stub_servers", port, [str(port)], Home.open(), "/ready") as server,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        ours, theirs = runner.run(_measure(f"{server.url}/v1/models/retrieval:predict"))
    print(f"{ours:.3f} ms of processor a request; aiohttp {theirs:.3f} ms")
    save(
        "http_client",
        [
            row(
                "processor time of a request (baseline: aiohttp)",
                ours,
                baseline=theirs,
                goal=None,
                unit="ms",
                seeds=1,
                command=COMMAND,
            )
        ],
    )


async def _measure(url: str) -> tuple[float, float]:
    pool = Pool()
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[_reuse()],
    ) as session:

        async def ours() -> None:
            assert (await pool.send(Request(url, 30.0, BODY, HEADERS))).is_success

        async def theirs() -> None:
            async with (
                asyncio.timeout(30.0),
                session.post(url, data=BODY, headers=HEADERS, trace_request_ctx={}) as reply,
            ):
                content = bytearray()
                async for piece in reply.content.iter_any():
                    content += piece
                    assert len(content) <= MAX_REPLY_BYTES
                assert reply.status == 200

        took: dict[str, list[float]] = {"ours": [], "theirs": []}
        for _ in range(ROUNDS + 1):
            for name, send in (("ours", ours), ("theirs", theirs)):
                took[name].append(await _round(send))
    await pool.aclose()
    return float(np.median(took["ours"][1:])), float(np.median(took["theirs"][1:]))


async def _round(send: Callable[[], Awaitable[None]]) -> float:
    """Milliseconds of processor a request."""

    async def some() -> None:
        for _ in range(REQUESTS // AT_ONCE):
            await send()

    began_s = time.process_time()
    await asyncio.gather(*(some() for _ in range(AT_ONCE)))
    return (time.process_time() - began_s) / REQUESTS * 1000


def _reuse() -> aiohttp.TraceConfig:
    async def reused(_: object, context: object, __: object) -> None:
        context.trace_request_ctx["reused"] = True  # type: ignore[attr-defined]

    found = aiohttp.TraceConfig()
    found.on_connection_reuseconn.append(reused)
    return found


if __name__ == "__main__":
    main()
