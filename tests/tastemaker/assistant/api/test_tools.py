from collections.abc import Iterator

import pytest

from tastemaker.router.tools import TOOLS
from tests.tastemaker.assistant.api.conftest import Site
from tests.tastemaker.assistant.tools.mcp_servers import mcp_server, tool


@pytest.fixture(scope="module")
def weather() -> Iterator[str]:
    with mcp_server([tool("forecast", "The weather."), tool("odd name")]) as url:
        yield url


def test_an_operator_adds_and_removes_a_tool(open_site: Site, weather: str) -> None:
    body = {"name": "weather", "url": weather, "timeout_s": 2, "cents": 0.1, "roles": ["user"]}
    added = open_site.http.post("/api/tools", json=body)
    assert added.status_code == 201
    tools = added.json()["tools"]
    assert tools == [
        {
            "name": "weather.forecast",
            "description": "The weather.",
            "native": False,
            "endpoint": weather,
            "timeout_s": 2.0,
            "cents": 0.1,
            "roles": ["user"],
            "enabled": True,
        }
    ]
    assert "letters, digits" in added.json()["skipped"]["odd name"]
    listed = open_site.http.get("/api/tools").json()["tools"]
    assert [row["name"] for row in listed if row["native"]] == [
        definition["function"]["name"] for definition in TOOLS
    ]
    assert listed[-1] == tools[0]
    assert open_site.http.delete("/api/tools/weather.forecast").json() == {"removed": 1}
    assert open_site.http.delete("/api/tools/weather.forecast").status_code == 404
    assert open_site.http.delete("/api/tools/search_items").status_code == 404


def test_others_see_their_tools_but_no_endpoint(site: Site, weather: str) -> None:
    site.services.registry.allow_private = True
    operator, ada, service = site.as_(role="operator"), site.as_("ada"), site.as_(role="service")
    body = {"name": "weather", "url": weather, "roles": ["user"]}
    assert operator.post("/api/tools", json=body).status_code == 201
    seen = ada.get("/api/tools").json()["tools"][-1]
    assert (seen["name"], seen["endpoint"]) == ("weather.forecast", None)
    assert all(row["native"] for row in service.get("/api/tools").json()["tools"])
    assert ada.post("/api/tools", json=body).status_code == 403
    assert ada.delete("/api/tools/weather").status_code == 403
    assert site.http.get("/api/tools").status_code == 401


def test_private_endpoints_are_refused_where_credentials_are_asked(
    site: Site, weather: str
) -> None:
    reply = site.as_(role="operator").post("/api/tools", json={"name": "w", "url": weather})
    assert reply.status_code == 400
    assert "may not be called" in reply.text


@pytest.mark.parametrize(
    "body",
    [
        {"name": "w"},
        {"name": "w", "url": "ftp://x/mcp"},
        {"name": "w", "url": "http://169.254.169.254/latest/meta-data"},
        {"name": "../w", "url": "http://127.0.0.1:1/mcp"},
        {"name": "w", "url": "http://127.0.0.1:1/mcp", "timeout_s": 1e9},
        {"name": "w", "url": "http://127.0.0.1:1/mcp", "roles": []},
        {"name": "w", "url": "http://127.0.0.1:1/mcp", "roles": ["admin"]},
        {"name": "w", "url": "http://127.0.0.1:1/mcp", "cents": -1},
        {"name": "w", "url": "http://127.0.0.1:1/mcp"},
    ],
)
def test_what_cannot_be_added_is_a_bad_request(open_site: Site, body: dict[str, object]) -> None:
    assert open_site.http.post("/api/tools", json=body).status_code == 400
