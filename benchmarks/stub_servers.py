"""Servers that take a fixed time and do no work, so that what is left of a turn is the gateway's.

They speak what the real ones speak: three KServe v1 models and an OpenAI chat endpoint whose
script is search, then answer. `python -m benchmarks.stub_servers PORT` serves all four there.
"""

import asyncio
import json
import sys
import time
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.core.home import Home

MODEL_S = {"encoder": 0.010, "retrieval": 0.005, "recommender": 0.010, "router": 0.040}
USER_DIM = 128


def app(catalogue: Catalogue) -> Starlette:
    """The four servers under one address."""
    vector = catalogue.vectors_ND[0].tolist()
    hits = [{"item_id": item.item_id, "score": 0.5} for item in catalogue.items[:10]]
    user = (np.ones(USER_DIM, np.float32) / USER_DIM**0.5).tolist()
    bodies: dict[str, dict[str, Any]] = {
        "encoder": {"predictions": [vector], "space": catalogue.space},
        "retrieval": {"predictions": [hits]},
        "recommender": {"predictions": [{"user_embedding": user, "items": hits}]},
    }

    held_s: dict[str, float] = {}  # by trace, how long its requests were held here

    async def hold(request: Request, name: str) -> None:
        start = time.perf_counter()
        await asyncio.sleep(MODEL_S[name])
        trace = request.headers.get("traceparent", "--").split("-")[1]
        held_s[trace] = held_s.get(trace, 0.0) + time.perf_counter() - start

    async def held(request: Request) -> JSONResponse:
        return JSONResponse({"held_s": held_s.get(request.path_params["trace"], 0.0)})

    async def predict(request: Request) -> JSONResponse:
        await request.body()
        name = request.path_params["name"].removesuffix(":predict")
        await hold(request, name)
        return JSONResponse(bodies[name])

    async def chat(request: Request) -> JSONResponse:
        messages = (await request.json())["messages"]
        await hold(request, "router")
        name, arguments = "search_items", {"query": "a lamp"}
        if messages[-1]["role"] == "tool":
            handle = messages[-1]["content"][0]["text"]
            name, arguments = "answer", {"text": "Here is what I found.", "items": handle}
        function = {"name": name, "arguments": json.dumps(arguments)}
        call = {"id": "c", "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
        usage = {"prompt_tokens": 50, "completion_tokens": 15}
        return JSONResponse({"choices": [{"message": message}], "usage": usage})

    async def ready(_: Request) -> JSONResponse:
        return JSONResponse({"ready": True})

    routes = [
        Route("/v1/chat/completions", chat, methods=["POST"]),
        Route("/v1/models/{name}", predict, methods=["POST"]),
        Route("/held/{trace}", held),
        Route("/{path:path}", ready),
    ]
    return Starlette(routes=routes)


if __name__ == "__main__":
    live = Catalogue.live(Home.open(), "local")
    uvicorn.run(app(live), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
