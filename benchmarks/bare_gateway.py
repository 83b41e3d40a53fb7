"""The least that a gateway can be: it makes the five requests of a turn, and keeps nothing.

`python -m benchmarks.bare_gateway PORT STUB_URL` serves it: our HTTP stack and our client, without
users, tools, limits, records or traces: what benchmarks/gateway.py cannot go below. With a third
word, milliseconds, it keeps its core busy for as long in each turn, a sixth before each request
and after the last: what any program waits here that computes as much.
"""

import gc
import sys
import time
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from pydantic_core import from_json, to_json

from tastemaker.assistant.http_client import Pool
from tastemaker.assistant.http_client import Request as HttpRequest

CALLS = ("recommender", "router", "encoder", "retrieval", "router")


class Body(BaseModel):
    """A chat request."""

    messages: list[dict[str, Any]]


def path_of(model: str) -> str:
    """Where a model is asked."""
    return "/v1/chat/completions" if model == "router" else f"/v1/models/{model}:predict"


def app(stub: str, busy_ms: float = 0.0) -> FastAPI:
    """The app, in front of stub servers.

    Args:
        stub: Their address.
        busy_ms: Processor time of a turn besides its requests, >= 0.
    """
    piece_s = busy_ms / 1000 / (len(CALLS) + 1)
    made, http = FastAPI(), Pool()

    @made.get("/healthz")
    async def ready() -> dict[str, str]:
        return {"status": "ok"}

    @made.post("/v1/chat/completions")
    async def chat(body: Body, request: Request) -> Response:
        headers = {
            "Content-Type": "application/json",
            "traceparent": request.headers["traceparent"],
        }
        sent = to_json({"messages": body.messages})
        for model in CALLS:
            _compute(piece_s)
            reply = await http.send(HttpRequest(stub + path_of(model), 30.0, sent, headers))
            found = from_json(reply.body)
        _compute(piece_s)
        return Response(to_json(found), media_type="application/json")

    return made


def _compute(seconds: float) -> None:
    """Take so much of this thread's processor time."""
    until_s = time.thread_time() + seconds
    while time.thread_time() < until_s:
        pass


def main() -> None:
    """Serve until stopped."""
    made = app(sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 0.0)
    gc.collect()
    gc.freeze()
    uvicorn.run(
        made,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
