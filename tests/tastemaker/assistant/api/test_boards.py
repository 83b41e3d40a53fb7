import json
from typing import Any

import pytest

from tastemaker.assistant.catalogue import Catalogue
from tests.tastemaker.assistant.api.conftest import Site


def ids(catalogue: Catalogue, *places: int) -> list[str]:
    return [catalogue.items[n].item_id for n in places]


def shown(board: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in board["items"]]


def test_a_board_is_made_filled_ordered_and_deleted(site: Site, catalogue: Catalogue) -> None:
    ada = site.as_("ada")
    made = ada.post("/api/boards", json={"title": " Blue\nsummer ", "items": ids(catalogue, 0, 1)})
    assert made.status_code == 201
    board = made.json()
    assert (board["title"], shown(board)) == ("Blue summer", ids(catalogue, 0, 1))
    assert board["items"][0]["image_url"].endswith("/image")
    at = f"/api/boards/{board['board_id']}"
    moved = ada.put(at, json={"items": ids(catalogue, 2, 1, 0)}).json()
    assert (moved["title"], shown(moved)) == ("Blue summer", ids(catalogue, 2, 1, 0))
    assert ada.put(at, json={"title": "Autumn"}).json()["title"] == "Autumn"
    assert ada.get(at).json() == ada.get("/api/boards").json()["boards"][0]
    assert ada.delete(at).status_code == 204
    assert ada.get("/api/boards").json() == {"boards": []}
    assert ada.delete(at).status_code == 404


def test_a_board_of_another_user_is_as_if_it_were_not_there(
    site: Site, catalogue: Catalogue
) -> None:
    ada, eve = site.as_("ada"), site.as_("eve")
    made = ada.post("/api/boards", json={"title": "secret", "items": ids(catalogue, 0)}).json()
    at = f"/api/boards/{made['board_id']}"
    tries = [eve.get(at), eve.put(at, json={"title": "x"}), eve.delete(at)]
    none = [eve.get(f"/api/boards/{'0' * 32}")]
    assert {reply.status_code for reply in tries + none} == {404}
    assert eve.get(at, params={"user": "ada"}).status_code == 403
    assert eve.get("/api/boards", params={"user": "ada"}).status_code == 403
    assert eve.post("/api/boards", json={"title": "x", "user": "ada"}).status_code == 403
    assert site.http.get(at).status_code == 401
    service = site.as_(role="service")
    assert service.get(at, params={"user": "ada"}).json()["title"] == "secret"


def test_an_operator_names_the_user(open_site: Site) -> None:
    assert open_site.http.get("/api/boards").status_code == 400
    made = open_site.http.post("/api/boards", json={"title": "x", "user": "ada"})
    assert made.status_code == 201
    found = open_site.http.get("/api/boards", params={"user": "ada"}).json()
    assert [board["title"] for board in found["boards"]] == ["x"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"title": ""}, "at least 1"),
        ({"title": " \u200b \n"}, "1 to 120"),
        ({"title": " \ud800 "}, "unicode"),
        ({"title": "x" * 121}, "1 to 120"),
        ({"title": "x", "items": ["nope", "gone"]}, "no item 'nope'"),
        ({"title": "x", "items": ["\ud800"]}, "unicode"),
        ({"title": "x", "items": ["a"] * 201}, "200"),
        ({"title": "x", "size": 3}, "size"),
        ({"title": "x", "user": "a\u0000b"}, "printed"),
        ({}, "title"),
    ],
)
def test_what_is_wrong_with_a_board_is_said(
    open_site: Site, body: dict[str, Any], said: str
) -> None:
    text = json.dumps({"user": "ada", **body})
    kind = {"content-type": "application/json"}
    reply = open_site.http.post("/api/boards", content=text, headers=kind)
    assert reply.status_code == 400
    assert said in reply.text
