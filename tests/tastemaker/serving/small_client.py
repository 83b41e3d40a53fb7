"""Requests at a steady rate, each counted: URL, result file, requests a second, method, body."""

import asyncio
import json
import signal
import sys
import time
from collections import Counter

import aiohttp

url, out, per_second, method, body = *sys.argv[1:3], int(sys.argv[3]), *sys.argv[4:6]
BUNDLE = "x-tastemaker-bundle"
statuses: Counter[str] = Counter()
in_order: list[str] = []
mixed = 0


async def one(http: aiohttp.ClientSession) -> None:
    global mixed
    try:
        data = body.encode() if method == "POST" else None
        async with http.request(method, url, data=data) as reply:
            content = await reply.json(content_type=None)
            statuses[str(reply.status)] += 1
            # What answered, by its own word: a space, or those that it asked.
            asked = content.get("asked", [])
            mixed += content.get("space", "") != "" and content["space"] != reply.headers[BUNDLE]
            mixed += len(set(asked)) > 1
            in_order.append(reply.headers.get(BUNDLE) or ",".join(asked))
    except (aiohttp.ClientError, ConnectionError, TimeoutError, ValueError) as error:
        statuses[f"error: {type(error).__name__}: {error}"] += 1


async def main() -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    begun, number, tasks = time.monotonic(), 0, set()
    async with aiohttp.ClientSession() as http:
        while not stopping.is_set():
            task = asyncio.ensure_future(one(http))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1
            if number == 1:
                open(out, "w").close()  # it has begun
            await asyncio.sleep(max(0.0, begun + number / per_second - time.monotonic()))
        seconds = time.monotonic() - begun
        await asyncio.gather(*tasks)
    found = {"statuses": statuses, "in_order": in_order, "mixed": mixed}
    with open(out, "w") as file:
        json.dump({**found, "per_second": number / seconds}, file)


asyncio.run(main())
