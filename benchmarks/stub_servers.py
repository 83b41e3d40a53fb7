"""Servers that take a fixed time and do no work, so that what is left of a turn is the gateway's.

They speak what the real ones speak: three KServe v1 models and an OpenAI chat endpoint whose
script is search, then answer. `python -m benchmarks.stub_servers PORT` serves all four there.

What a request waits here before its time begins would look like the gateway's: replies are written
beforehand, and there is no framework (a request takes a third of the time that one on Starlette
took), nor a garbage collection of what was loaded.
"""

import asyncio
import gc
import json
import sys
import time
from typing import Any, cast

import httptools
import numpy as np
import uvloop
from pydantic_core import from_json, to_json

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.core.home import Home

MODEL_S = {"encoder": 0.010, "retrieval": 0.005, "recommender": 0.010, "router": 0.040}
USER_DIM = 128
_READY = {"ready": True}


class Servers:
    """What the four servers answer, and how long they held each trace's requests.

    Args:
        catalogue: Whose items and vectors are in the replies.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        vector = catalogue.vectors_ND[0].tolist()
        hits = [{"item_id": item.item_id, "score": 0.5} for item in catalogue.items[:10]]
        user = (np.ones(USER_DIM, np.float32) / USER_DIM**0.5).tolist()
        self.replies = {
            "encoder": _reply({"predictions": [vector], "space": catalogue.space}),
            "retrieval": _reply({"predictions": [hits]}),
            "recommender": _reply({"predictions": [{"user_embedding": user, "items": hits}]}),
        }
        self.held_s: dict[str, float] = {}  # by trace

    def reply(self, path: str, body: bytes) -> tuple[str, bytes]:
        """Which model is asked, empty for none; and its reply, head and all."""
        if path == "/v1/chat/completions":
            return "router", _reply(_routed(from_json(body)["messages"]))
        if path.startswith("/v1/models/"):
            name = path.rpartition("/")[2].removesuffix(":predict")
            return name, self.replies[name]
        if path.startswith("/held/"):
            return "", _reply({"held_s": self.held_s.get(path.rpartition("/")[2], 0.0)})
        return "", _reply(_READY)


class Connection(asyncio.Protocol):
    """A connection that is kept: one request after another."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.parser = httptools.HttpRequestParser(self)
        self.path, self.trace, self.body, self.start_s = "", "", b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self.start_s = time.perf_counter()
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Called by the parser, as are those below."""
        self.path, self.trace, self.body = "", "", b""

    def on_url(self, url: bytes) -> None:
        """A part of the request's target."""
        self.path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if name.lower() == b"traceparent":
            self.trace = value.decode().split("-")[1]

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self.body += body

    def on_message_complete(self) -> None:
        """The whole request is here."""
        model, reply = self.servers.reply(self.path, self.body)
        if model:
            asyncio.get_running_loop().call_later(MODEL_S[model], self._answer, reply)
        else:
            self.transport.write(reply)

    def _answer(self, reply: bytes) -> None:
        held_s, now_s = self.servers.held_s, time.perf_counter()
        held_s[self.trace] = held_s.get(self.trace, 0.0) + now_s - self.start_s
        self.transport.write(reply)


def _routed(messages: list[dict[str, Any]]) -> dict[str, Any]:
    name, arguments = "search_items", {"query": "a lamp"}
    if messages[-1]["role"] == "tool":
        handle = messages[-1]["content"][0]["text"]
        name, arguments = "answer", {"text": "Here is what I found.", "items": handle}
    function = {"name": name, "arguments": json.dumps(arguments)}
    call = {"id": "c", "type": "function", "function": function}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    usage = {"prompt_tokens": 50, "completion_tokens": 15}
    return {"choices": [{"message": message}], "usage": usage}


def _reply(body: dict[str, Any]) -> bytes:
    text = to_json(body)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n"
    return head.encode() + b"\r\n" + text


async def serve(servers: Servers, port: int) -> None:
    """Serve on 127.0.0.1 until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(servers), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    made = Servers(Catalogue.live(Home.open(), "local"))
    gc.collect()
    gc.freeze()
    uvloop.run(serve(made, int(sys.argv[1])))
