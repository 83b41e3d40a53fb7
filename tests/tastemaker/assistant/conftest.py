"""A small real catalogue, and the four servers behind one in-process HTTP seam.

The KServe models do their maths for real on vectors that count words. The router is scripted:
each test says which calls it makes.
"""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.gateway import build_app
from tastemaker.assistant.settings import AssistantConfig, GatewayConfig
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, write_table
from tastemaker.data.demo_catalogue import CATEGORIES, DemoConfig, open_demo
from tastemaker.data.demo_render import COLORS
from tastemaker.data.records import EVENTS, ITEMS
from tastemaker.promotion.model_file import Live
from tests.tastemaker.assistant.wires import Wired
from tests.tastemaker.promotion.shop import write_live

SPACE = "0123456789abcdef"
WORDS = sorted({*COLORS, *CATEGORIES, "oak", "metal", "glass", "wool", "ceramic", "velvet"})
URLS = {name: f"http://{name}" for name in ("encoder", "retrieval", "recommender", "router")}
HOSTILE = '<img src=x onerror="alert(1)">'

Message = dict[str, Any]
Script = Callable[[list[Message]], Message]


def embed(text: str) -> np.ndarray:
    """Counts of known words, unit norm; the last number is never 0."""
    counts = np.array([*(text.lower().split().count(word) for word in WORDS), 0.1], np.float32)
    return counts / np.linalg.norm(counts)


def call(name: str, **arguments: Any) -> Message:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }


def search_then_answer(messages: list[Message]) -> Message:
    """A router that searches for what the user said, then shows it."""
    if messages[-1]["role"] == "tool":
        handle = messages[-1]["content"][0]["text"]
        return call("answer", text="Here is what I found.", items=handle)
    words = messages[-1]["content"][-1]["text"]
    return call("search_items", query=words)


@dataclass
class Servers(httpx.AsyncBaseTransport):
    """The four servers; a test changes `script` and `down`.

    Attributes:
        script: What the router says: a list of messages, one a step, or a function.
        down: Services that refuse connections.
        slow: Services that never answer in time.
        asked: Requests by service, in order.
        see: What the encoder makes of a JPEG, in words.
    """

    catalogue: Catalogue
    script: list[Message] | Script = search_then_answer
    down: set[str] = field(default_factory=set)
    slow: set[str] = field(default_factory=set)
    asked: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    see: Callable[[bytes], str] = lambda picture: "blue lamp"

    def __post_init__(self) -> None:
        self.inner = httpx.ASGITransport(app=self.app())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.host in self.down:
            raise httpx.ConnectError("connection refused", request=request)
        if request.url.host in self.slow:
            raise httpx.ReadTimeout("slow", request=request)
        return await self.inner.handle_async_request(request)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.get("/{path:path}")
        async def ready(path: str) -> dict[str, bool]:
            return {"ready": True}

        @app.post("/v1/models/{name}:predict")
        async def predict(name: str, request: Request) -> JSONResponse:
            answer = {"encoder": self.encode, "retrieval": self.retrieve}.get(name, self.recommend)
            predictions, body = [], dict[str, Any]()
            for instance in (await request.json())["instances"]:
                self.asked.setdefault(name, []).append(instance)
                status, body = answer(instance)
                if status != 200:
                    return JSONResponse(body, status)
                predictions += body["predictions"]
            return JSONResponse({**body, "predictions": predictions})

        @app.post("/v1/chat/completions")
        async def chat(request: Request) -> dict[str, Any]:
            body = await request.json()
            self.asked.setdefault("router", []).append(body)
            script = self.script
            message = script(body["messages"]) if callable(script) else script.pop(0)
            usage = {"prompt_tokens": 10, "completion_tokens": 3}
            return {"choices": [{"message": message}], "usage": usage}

        return app

    def encode(self, instance: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if "image" in instance:
            picture = base64.b64decode(instance["image"])
            if not picture.startswith(b"\xff\xd8"):
                return 400, {"error": "not a picture"}
            return 200, {"predictions": [embed(self.see(picture)).tolist()], "space": SPACE}
        vector = embed(instance["text"])
        return 200, {"predictions": [vector.tolist()], "space": SPACE}

    def retrieve(self, instance: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if instance["space"] != SPACE:
            return 400, {"error": f"index reads {SPACE}, got {instance['space']}"}
        items = self.catalogue.items
        score = self.catalogue.vectors_ND @ np.array(instance["vector"], np.float32)
        rows = []
        for place in np.argsort(-score, kind="stable"):
            item = items[place]
            too_dear = item.price is None or item.price > instance.get("max_price", 1e9)
            if too_dear or instance.get("category", item.category) != item.category:
                continue
            rows.append({"item_id": item.item_id, "score": float(score[place])})
        return 200, {"predictions": [rows[: instance["k"]]]}

    def recommend(self, instance: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        for event in instance["events"]:
            if event["item_id"] not in self.catalogue.place:
                return 400, {"error": f"unknown item {event['item_id']!r}"}
        items = self.catalogue.items[::-1][: instance["k"]]
        rows = [{"item_id": item.item_id, "score": 1.0 - n / 100} for n, item in enumerate(items)]
        return 200, {"predictions": [{"user_embedding": embed("red").tolist(), "items": rows}]}


def make_catalogue(home: Home, num_items: int = 80) -> Catalogue:
    """A live dataset version of demo items; the first title is hostile."""
    rows = []
    for raw in open_demo(DemoConfig(items=num_items, boards=2)).items:
        if len(rows) == num_items:
            break
        rows.append(
            {
                "item_id": raw.item_id,
                "image": raw.image,
                "title": raw.title if rows else HOSTILE,
                "text": raw.text,
                "category": raw.category,
                "attributes": json.dumps(dict(raw.attributes)),
                "price": raw.price,
                "split": "train",
                "image_hash": "0" * 16,
            }
        )
    table = pa.Table.from_pylist(rows, schema=ITEMS)
    described = [
        f"{row['category']} {' '.join(json.loads(row['attributes']).values())}" for row in rows
    ]
    vectors = np.stack([embed(text) for text in described])
    width = vectors.shape[1]
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width)
    items = write_table(home, "items", table.append_column(f"embedding_{SPACE}", column))
    event = {"session_id": "s", "surface": "feed", "time": 0, "action": "save"}
    events = [{**event, "user_id": "ada", "item_id": row["item_id"]} for row in rows[:5]]
    tables = {
        "items": items,
        "events": write_table(home, "events", pa.Table.from_pylist(events, schema=EVENTS)),
    }
    digest = Dataset(home, "demo", tables, spaces={f"embedding_{SPACE}": SPACE}).save()
    write_live(home, "local", "encoder", Live(SPACE, digest))
    write_live(home, "local", "retrieval", Live("f" * 16, digest))
    return Catalogue.live(home, "local")


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def catalogue(home: Home) -> Catalogue:
    return make_catalogue(home)


@pytest.fixture
def servers(catalogue: Catalogue) -> Servers:
    return Servers(catalogue)


@contextmanager
def serving(app: Any, port: int = 0) -> Iterator[str]:
    """The ASGI app on a real port, in a thread: its base address."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@dataclass
class Gateway:
    """The real app in process; `ask` posts a question and returns the reply."""

    http: httpx.Client
    app: FastAPI

    def ask(self, text: Any, **fields: Any) -> httpx.Response:
        earlier = fields.pop("earlier", [])
        messages = [*earlier, {"role": "user", "content": text}]
        return self.http.post("/v1/chat/completions", json={"messages": messages, **fields})


CONFIG = GatewayConfig(assistant=AssistantConfig(num_items=6))


@pytest.fixture
def gateway(tmp_path: Path, catalogue: Catalogue, servers: Servers) -> Iterator[Gateway]:
    """The real app; nothing is materialised, so the log of live events is all that it knows."""
    from fastapi.testclient import TestClient

    app = build_app(Home(tmp_path), catalogue, URLS, CONFIG, http=Wired(servers))
    client = TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False)
    with client as http:
        yield Gateway(http, app)


@pytest.fixture
def served(tmp_path: Path, catalogue: Catalogue, servers: Servers) -> Iterator[str]:
    """The same on a real port: its base address."""
    with serving(build_app(Home(tmp_path), catalogue, URLS, CONFIG, http=Wired(servers))) as url:
        yield url
