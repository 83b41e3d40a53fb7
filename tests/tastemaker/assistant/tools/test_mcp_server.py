import asyncio
import base64
import io
import os
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import httpx2
import pytest
from fastapi import FastAPI
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent
from PIL import Image
from starlette.routing import Route

from tastemaker.assistant.boards import BoardStore
from tastemaker.assistant.catalogue import Catalogue
from tastemaker.assistant.clients import ModelClient, Upstreams
from tastemaker.assistant.identity import Identity, IdentityConfig
from tastemaker.assistant.limits import Limits
from tastemaker.assistant.tools.mcp_server import McpEndpoint, build_stdio
from tastemaker.assistant.tools.native import Tools
from tastemaker.core.database import open_database
from tastemaker.features.signals import Signals
from tests.tastemaker.assistant.conftest import HOSTILE, SPACE, URLS, Servers, embed, serving
from tests.tastemaker.assistant.wires import Wired


@dataclass
class Site:
    """The endpoint on a real port."""

    url: str
    services: Any
    servers: Servers

    def key(self, user: str | None = None, role: str = "") -> str:
        keys = self.services.identity.keys
        return str(keys.create(f"{user}{role}", user_id=user, roles=[role] if role else [])[0])


class Features:
    """Of ada one save is known."""

    async def read(self, user_id: str | None, session_id: str, *, deadline_s: float) -> Signals:
        history = (("demo-00003", "save", 1),) if user_id == "ada" else ()
        return Signals(user_id, session_id, history)


def make_site(folder: Path, servers: Servers, auth: Any) -> Iterator[Site]:
    engine, app = open_database(f"sqlite:///{folder}/a.db"), FastAPI()
    http = Wired(servers)
    models = {name: ModelClient(name, URLS[name], http) for name in URLS if name != "router"}
    upstreams = Upstreams(**models, space=SPACE)
    boards = BoardStore(engine)
    services = SimpleNamespace(
        catalogue=servers.catalogue,
        identity=Identity(IdentityConfig(auth=auth), engine, Wired(servers)),
        limits=Limits(engine),
        features=Features(),
        boards=boards,
        tools=Tools(servers.catalogue, upstreams, 5, boards),
    )
    endpoint = McpEndpoint(services)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with endpoint.run():
            yield

    app.router.lifespan_context = lifespan
    app.state.services = services
    app.router.routes.append(Route("/mcp", endpoint=endpoint))
    with serving(app) as url:
        yield Site(url, services, servers)


@pytest.fixture
def site(tmp_path: Path, servers: Servers) -> Iterator[Site]:
    yield from make_site(tmp_path, servers, "keys")


@pytest.fixture
def open_site(tmp_path: Path, servers: Servers) -> Iterator[Site]:
    yield from make_site(tmp_path, servers, "open")


@asynccontextmanager
async def client(site: Site, key: str = "", mode: str = "auto") -> AsyncIterator[Client]:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with (
        httpx2.AsyncClient(headers=headers, trust_env=False) as http,
        Client(streamable_http_client(f"{site.url}/mcp", http_client=http), mode=mode) as found,
    ):
        yield found


def call(site: Site, name: str, key: str = "", mode: str = "auto", **given: Any) -> CallToolResult:
    async def once() -> CallToolResult:
        async with client(site, key, mode) as found:
            return await found.call_tool(name, given)

    return asyncio.run(once())


def ids(result: CallToolResult) -> list[str]:
    assert not result.is_error, said(result)
    return [row["id"] for row in result.structured_content["items"]]


def said(result: CallToolResult) -> str:
    assert isinstance(result.content[0], TextContent)
    return result.content[0].text


def picture() -> str:
    out = io.BytesIO()
    Image.new("RGB", (80, 80), "blue").save(out, "JPEG")
    return base64.b64encode(out.getvalue()).decode()


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_protocols_own_client_lists_and_calls(open_site: Site, mode: str) -> None:
    async def names() -> list[str]:
        async with client(open_site, mode=mode) as found:
            assert found.server_info is not None
            assert found.server_info.name == "tastemaker"
            return [tool.name for tool in (await found.list_tools()).tools]

    assert asyncio.run(names()) == [
        "search_items", "similar_items", "recommend", "complete_board", "shop_room",
        "board_get", "board_save",
    ]  # fmt: skip
    found = call(open_site, "search_items", mode=mode, query="vase", max_price=60)
    row = found.structured_content["items"][0]
    assert set(row) == {"id", "title", "price", "category", "image_url", "score"}
    assert row["image_url"] == f"{open_site.url}/items/{row['id']}/image"
    assert row["price"] <= 60
    assert said(found).startswith("5 items:\n- ")


def test_items_are_named_by_their_ids(open_site: Site, catalogue: Catalogue) -> None:
    first, second, third = (item.item_id for item in catalogue.items[1:4])
    liked = ids(call(open_site, "search_items", like=[first, second], unlike=[third]))
    assert len(liked) == 5
    assert not {first, second, third} & set(liked)
    assert first not in ids(call(open_site, "similar_items", item=first, query="in red"))
    assert not {first, second} & set(ids(call(open_site, "complete_board", items=[first, second])))


def test_pictures_are_sent_along(open_site: Site) -> None:
    assert len(ids(call(open_site, "similar_items", image=picture()))) == 5
    sent = open_site.servers.asked["retrieval"][-1]["vector"]
    assert sent == pytest.approx(embed("blue lamp").tolist())  # what the encoder takes it for
    assert len(ids(call(open_site, "shop_room", image=picture()))) == 5
    assert open_site.servers.asked["encoder"][-1].keys() == {"image"}


def test_recommendations_follow_the_users_events(open_site: Site) -> None:
    assert len(ids(call(open_site, "recommend", user="ada", diversity="high"))) == 5
    asked = open_site.servers.asked["recommender"][-1]
    assert asked["events"] == [{"item_id": "demo-00003", "action": "save"}]
    call(open_site, "recommend")
    assert open_site.servers.asked["recommender"][-1]["events"] == []


def test_a_user_key_acts_for_its_user_alone(site: Site, catalogue: Catalogue) -> None:
    ada, eve, first = site.key("ada"), site.key("eve"), catalogue.items[1].item_id
    saved = call(site, "board_save", ada, title="Blue summer", items=[first])
    assert said(saved) == "saved: board 'Blue summer' has 1 items"
    opened = call(site, "board_get", ada, title="summer")
    assert (ids(opened), opened.structured_content["board"]) == ([first], "Blue summer")
    assert "no board like" in said(call(site, "board_get", eve, title="summer"))
    foreign = call(site, "board_get", eve, title="summer", user="ada")
    assert foreign.is_error
    assert "one user only" in said(foreign)
    service = site.key(role="service")
    assert ids(call(site, "board_get", service, title="summer", user="ada")) == [first]
    assert "no user is chosen" in said(call(site, "board_get", service, title="summer"))


def test_without_credentials_nothing_is_answered(site: Site) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    for headers in ({}, {"authorization": "Bearer tm_wrong"}, {"authorization": "Basic x"}):
        reply = httpx.post(f"{site.url}/mcp", json=body, headers=headers)
        assert reply.status_code == 401
        assert reply.headers["www-authenticate"].startswith("Bearer")
    key = site.key("ada")
    answered = httpx.get(f"{site.url}/mcp", headers={"authorization": f"Bearer {key}"})
    assert answered.status_code == 405


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("drop_tables", {}, "unknown tool 'drop_tables'"),
        ("search_items", {}, "give a query or items to like"),
        ("search_items", {"query": 3}, "search_items.query: 3 is not of type"),
        ("search_items", {"query": "x", "like": ["nope"]}, "no item 'nope'"),
        ("search_items", {"query": "x", "limit": 1}, "Additional properties"),
        ("similar_items", {}, "either an item or an image"),
        ("similar_items", {"item": "demo-00001", "image": "aaaa"}, "either an item or an image"),
        ("similar_items", {"image": "aaaa"}, "similar_items: .*not a picture"),
        ("shop_room", {"image": "aaaa"}, "the picture is not one of"),
        ("complete_board", {"items": []}, "complete_board.items"),
        ("recommend", {"outcome": "hide"}, "is not one of"),
    ],
)
def test_what_is_wrong_is_said_in_the_result(
    open_site: Site, name: str, arguments: dict[str, Any], reason: str
) -> None:
    result = call(open_site, name, **arguments)
    assert result.is_error
    assert re.search(reason, said(result)), said(result)


def test_a_server_that_is_down_is_an_error_that_can_be_read(open_site: Site) -> None:
    open_site.servers.down = {"encoder"}
    result = call(open_site, "search_items", query="vase")
    assert result.is_error
    assert said(result) == "search_items is not available right now: encoder is down"
    open_site.servers.down = set()
    assert ids(call(open_site, "search_items", query="vase"))


def test_a_hostile_title_stays_data(open_site: Site, catalogue: Catalogue) -> None:
    hostile = catalogue.items[0]
    assert hostile.title == HOSTILE
    result = call(open_site, "board_save", title="x", items=[hostile.item_id], user="ada")
    assert not result.is_error
    opened = call(open_site, "board_get", title="x", user="ada")
    assert opened.structured_content["items"][0]["title"] == HOSTILE
    assert said(opened).splitlines()[1].startswith("- <img src=x")


def test_over_stdio_in_front_of_a_gateway(site: Site) -> None:
    environment = {**os.environ, "TASTEMAKER_API_KEY": site.key("ada")}
    command = ["-m", "tastemaker.assistant.tools.mcp_server", "--url", site.url]
    server = StdioServerParameters(command=sys.executable, args=command, env=environment)

    async def use() -> tuple[int, CallToolResult, CallToolResult]:
        async with Client(server) as found:
            listed = await found.list_tools()
            result = await found.call_tool("search_items", {"query": "vase"})
            return len(listed.tools), result, await found.call_tool("search_items", {})

    num_tools, result, wrong = asyncio.run(use())
    assert num_tools == 7
    assert len(ids(result)) == 5
    assert "give a query" in said(wrong)


def test_over_stdio_a_gateway_that_is_down_is_said() -> None:
    async def use() -> CallToolResult:
        async with Client(build_stdio("http://127.0.0.1:1")) as found:
            return await found.call_tool("search_items", {"query": "vase"})

    result = asyncio.run(use())
    assert result.is_error
    assert said(result).startswith("no answer from the gateway at http://127.0.0.1:1: ")
