"""A stand-in for the gateway with everything that the page uses, in memory.

It answers from the test catalogue by counting words, and does what a test tells it: refuse, wait,
break off. The real gateway has its own tests; this one exists to show the page every reply.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tastemaker.assistant.api import page as files
from tastemaker.assistant.catalogue import Catalogue, shown
from tests.tastemaker.assistant.conftest import embed

NUM_ITEMS = 6
MAX_BODY_BYTES = 12 << 20
KNOWN_USERS = {"ada": ["lamp", "rug"], "lin": ["vase"]}


@dataclass
class Refusal:
    """A reply that says no."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Stand:
    """What the stand-in remembers, and what a test tells it to do.

    Attributes:
        key: The API key that is asked for; empty for none.
        refuse: Replies to the next chat requests.
        drops: So many streams break off after their first step.
        pause_s: Wait before each event of a stream.
        notices: Added to every answer.
        chats: Bodies of chat requests with their idempotency keys, in order.
    """

    catalogue: Catalogue
    key: str = ""
    refuse: list[Refusal] = field(default_factory=list)
    drops: int = 0
    pause_s: float = 0.0
    notices: list[str] = field(default_factory=list)
    chats: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    boards: dict[str, dict[str, Any]] = field(default_factory=dict)
    conversations: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def items(self, words: str, user: str) -> list[dict[str, Any]]:
        """What fits the words best, leaning to categories that the user saved."""
        mine = [event for event in self.events if event["user"] == user]
        of = self.catalogue.item
        liked = Counter(of(e["item_id"]).category for e in mine if e["action"] == "save")
        hidden = {event["item_id"] for event in mine if event["action"] == "hide"}
        fit = self.catalogue.vectors_ND @ embed(words)
        rows = [
            (score + 0.5 * min(1, liked[item.category]), item)
            for score, item in zip(fit.tolist(), self.catalogue.items, strict=True)
            if item.item_id not in hidden
        ]
        best = sorted(rows, key=lambda row: (-row[0], row[1].item_id))[:NUM_ITEMS]
        return [{**shown(item, score), "ref": f"@1#{n}"} for n, (score, item) in enumerate(best, 1)]

    def board(self, board: dict[str, Any]) -> dict[str, Any]:
        """A board as it is shown."""
        items = [shown(self.catalogue.item(item_id)) for item_id in board["items"]]
        return {**{k: board[k] for k in ("board_id", "title", "updated_ms")}, "items": items}

    def person(self, user: str) -> dict[str, Any]:
        """What is known of a user."""
        mine = [event for event in self.events if event["user"] == user]
        of = self.catalogue.item
        categories = Counter(of(e["item_id"]).category for e in mine)
        styles = Counter(of(e["item_id"]).attributes.get("color", "") for e in mine)
        share = {name: n / max(1, len(mine)) for name, n in categories.items()}
        counts = Counter(event["action"] for event in mine)
        windows = ("1d", "7d", "30d")
        return {
            "user_id": user,
            "counts": {f"{name}_{w}": n for name, n in counts.items() for w in windows},
            "categories": share,
            "styles": {name: n / max(1, len(mine)) for name, n in styles.items()},
            "recency_s": 12.0 if mine else None,
            "staleness_s": 1.5,
            "recent": [
                {**shown(of(e["item_id"])), "action": e["action"], "time_ms": e["time_ms"]}
                for e in reversed(mine)
            ],
            "num_events": len(mine),
            "num_boards": sum(board["user"] == user for board in self.boards.values()),
            "num_conversations": len(self.conversations),
        }


def step(tool: str, arguments: dict[str, Any], num_items: int) -> dict[str, Any]:
    """A step as the API gives it."""
    found = {"list": "@1"} if num_items else {}
    tokens = {"prompt": 412, "completion": 18}
    spent = {"ms": 38.2, "router_ms": 121.7, "backend": "own", "tokens": tokens, "cents": 0.0021}
    return {"tool": tool, "arguments": arguments, "num_items": num_items, **spent, **found}


def steps_of(body: dict[str, Any], words: str) -> list[dict[str, Any]]:
    """The steps that a request asks for."""
    ours = body.get("tastemaker", {})
    if ours.get("complete_board"):
        first = step("complete_board", {"items": "@1"}, NUM_ITEMS)
    elif ours.get("shop_room"):
        first = step("shop_room", {"item": "@1"}, NUM_ITEMS)
    elif ours.get("similar_to"):
        first = step("similar_items", {"item": "@1#2"}, NUM_ITEMS)
    else:
        first = step("search_items", {"query": words}, NUM_ITEMS)
    return [first, step("answer", {"text": "Here is what I found.", "items": "@1"}, 0)]


def build_stand_in(stand: Stand) -> FastAPI:
    """The app."""
    app = FastAPI()

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        path = request.url.path
        asks = stand.key and path.startswith(("/v1", "/api"))
        if asks and request.headers.get("authorization") != f"Bearer {stand.key}":
            why = "no key was given" if "authorization" not in request.headers else "unknown key"
            return error(Refusal(401, why, {"WWW-Authenticate": "Bearer"}))
        passed: Response = await call_next(request)
        return passed

    app.add_middleware(files.Guard, max_body_bytes=MAX_BODY_BYTES)

    _page(app, stand)
    _chat(app, stand)
    _users(app, stand)
    _boards(app, stand)
    return app


def error(refusal: Refusal) -> JSONResponse:
    """An error as the API gives it."""
    body = {"message": refusal.message, "type": "error", "param": None, "code": None}
    return JSONResponse({"error": body}, refusal.status, refusal.headers)


def _page(app: FastAPI, stand: Stand) -> None:
    app.include_router(files.routes())

    @app.get("/items/{item_id}/image")
    async def image(item_id: str) -> Response:
        return Response(stand.catalogue.image(item_id), media_type="image/jpeg")

    @app.get("/items/{item_id}")
    async def item(item_id: str) -> dict[str, Any]:
        found = stand.catalogue.item(item_id)
        return {**asdict(found), "image_url": found.image_url}

    @app.get("/api/suggestions")
    async def suggestions() -> dict[str, Any]:
        asked = ["show me a pink vase", "something for me", "lamp under 50", "a calm oak table"]
        return {"suggestions": asked}


def _chat(app: FastAPI, stand: Stand) -> None:
    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        body = await request.json()
        stand.chats.append((request.headers["idempotency-key"], body))
        if stand.refuse:
            return error(stand.refuse.pop(0))
        return StreamingResponse(_stream(stand, body), media_type="text/event-stream")

    @app.get("/v1/conversations/{conversation}")
    async def conversation(conversation: str) -> Any:
        if conversation not in stand.conversations:
            return error(Refusal(404, "no such conversation"))
        return {"conversation": conversation, "turns": stand.conversations[conversation]}


async def _stream(stand: Stand, body: dict[str, Any]) -> AsyncIterator[str]:
    content = body["messages"][-1]["content"]
    words = content if isinstance(content, str) else content[0]["text"]
    steps = steps_of(body, words)
    items = stand.items(words, body["user"])
    name = body["tastemaker"].get("conversation") or f"c{len(stand.conversations) + 1}"
    text = "Here is what I found."
    for one in steps:
        await asyncio.sleep(stand.pause_s)
        yield _sse({}, {"step": one})
        if stand.drops:
            stand.drops -= 1
            return
    for word in text.split(" "):
        await asyncio.sleep(stand.pause_s)
        yield _sse({"content": word if word == "Here" else f" {word}"})
    turn = {
        "items": items,
        "steps": steps,
        "tokens": {"prompt": 824, "completion": 36},
        "ms": 319.8,
        "cents": 0.0042,
        "notices": stand.notices,
    }
    kept = {"question": words, "answer": text, **turn}
    stand.conversations.setdefault(name, []).append(kept)
    yield _sse({}, {**turn, "conversation": name, "trace": "4bf92f3577b34da6a3ce929d0e0e4736"})
    yield "data: [DONE]\n\n"


def _sse(delta: dict[str, Any], ours: dict[str, Any] | None = None) -> str:
    chunk: dict[str, Any] = {"choices": [{"index": 0, "delta": delta}]}
    return f"data: {json.dumps({**chunk, **({'tastemaker': ours} if ours else {})})}\n\n"


def _users(app: FastAPI, stand: Stand) -> None:
    @app.get("/api/me")
    async def me() -> dict[str, Any]:
        auth = "keys" if stand.key else "open"
        return {"name": "local", "user": None, "roles": ["operator"], "auth": auth}

    @app.get("/api/users")
    async def users() -> dict[str, Any]:
        rows = [{"user_id": name, "likes": likes} for name, likes in KNOWN_USERS.items()]
        return {"users": rows}

    @app.get("/api/users/{user}")
    async def user(user: str) -> dict[str, Any]:
        return stand.person(user)

    @app.delete("/api/users/{user}")
    async def delete(user: str) -> dict[str, Any]:
        before = len(stand.events)
        stand.events = [event for event in stand.events if event["user"] != user]
        boards = [key for key, board in stand.boards.items() if board["user"] == user]
        for key in boards:
            del stand.boards[key]
        events = before - len(stand.events)
        rest = {"features": 0, "conversations": 0, "turns": 0}
        return {"deleted": {"events": events, "boards": len(boards), **rest}}

    @app.post("/api/events")
    async def events(request: Request) -> dict[str, Any]:
        body = await request.json()
        now = int(time.time() * 1000)
        rows = [{**event, "user": body["user"], "time_ms": now} for event in body["events"]]
        stand.events += rows
        return {"accepted": len(rows), "pushed": True}


def _boards(app: FastAPI, stand: Stand) -> None:
    @app.get("/api/boards")
    async def boards(user: str) -> dict[str, Any]:
        mine = [board for board in stand.boards.values() if board["user"] == user]
        return {"boards": [stand.board(board) for board in reversed(mine)]}

    @app.post("/api/boards", status_code=201)
    async def create(request: Request) -> dict[str, Any]:
        body = await request.json()
        made = {"board_id": f"b{len(stand.boards) + 1}", "updated_ms": 0, **body}
        stand.boards[made["board_id"]] = made
        return stand.board(made)

    @app.put("/api/boards/{board_id}")
    async def change(board_id: str, user: str, request: Request) -> Any:
        if board_id not in stand.boards:
            return error(Refusal(404, "no such board"))
        stand.boards[board_id] |= await request.json()
        return stand.board(stand.boards[board_id])

    @app.delete("/api/boards/{board_id}", status_code=204)
    async def delete(board_id: str, user: str) -> None:
        stand.boards.pop(board_id, None)
