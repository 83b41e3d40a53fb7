"""A small HTTP server: what tests run in place of a model. Run as a file, outside the package."""

import argparse
import asyncio
import os
import subprocess
import time

import aiohttp
from aiohttp import web

parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int)
parser.add_argument("--bundle", default="")
parser.add_argument("--ask", action="append", default=[])  # addresses whose answers it tells
parser.add_argument("--child", default="")  # seconds that a child of it sleeps
parser.add_argument("--ready-after", type=float, default=0.0)  # seconds
parser.add_argument("--exit-after", type=float, default=0.0)  # seconds, with code 3
parser.add_argument("--answer-after", type=float, default=0.0)  # seconds
parser.add_argument("--tag", default="")
given = parser.parse_args()
begun = time.monotonic()
cancelled = 0


async def health(_: web.Request) -> web.Response:
    ready = time.monotonic() - begun >= given.ready_after
    async with aiohttp.ClientSession() as http:
        for url in given.ask:
            async with http.get(url + "/") as reply:
                ready = ready and reply.status == 200
    return web.Response(status=200 if ready else 503)


async def ask(request: web.Request) -> web.Response:
    body = await request.read()
    await asyncio.sleep(given.answer_after)
    told = []
    for url in given.ask:
        # one after the other, so that a switch can fall between
        async with request.app["http"].get(url + "/") as reply:
            told.append((await reply.json())["bundle"])
        await asyncio.sleep(0.01)
    return web.json_response(
        {
            "bundle": given.bundle,
            "asked": told,
            "received": len(body),
            "pid": os.getpid(),
            "path": request.raw_path,
            "headers": [[name, value] for name, value in request.headers.items()],
        }
    )


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(int(request.query.get("events", "5"))):
        await response.write(f"data: {number} {time.time()}\n\n".encode())
        await asyncio.sleep(float(request.query.get("every", "0.2")))
    await response.write_eof()
    return response


async def slow(_: web.Request) -> web.Response:
    global cancelled
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        cancelled += 1
        raise
    return web.Response()


async def count(_: web.Request) -> web.Response:
    return web.json_response({"cancelled": cancelled})


async def download(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    response.content_length = int(request.query["bytes"])
    await response.prepare(request)
    for _ in range(response.content_length >> 16):
        await response.write(b"x" * (1 << 16))
    await response.write_eof()
    return response


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"half of it")
    await asyncio.sleep(0.1)
    request.transport.abort()
    return response


async def die(_: web.Request) -> web.Response:
    os._exit(9)


async def http(app: web.Application):
    async with aiohttp.ClientSession() as session:
        app["http"] = session
        yield


async def main() -> None:
    app = web.Application(client_max_size=1 << 30)
    app.cleanup_ctx.append(http)
    app.router.add_get("/health", health)
    app.router.add_get("/stream", stream)
    app.router.add_get("/slow", slow)
    app.router.add_get("/count", count)
    app.router.add_get("/download", download)
    app.router.add_get("/half", half)
    app.router.add_route("*", "/die", die)
    app.router.add_route("*", "/{rest:.*}", ask)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", given.port).start()
    await asyncio.sleep(given.exit_after or 1e6)
    os._exit(3)


if given.child:
    subprocess.Popen(["sleep", given.child])
asyncio.run(main())
