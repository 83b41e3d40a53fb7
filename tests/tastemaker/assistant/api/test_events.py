import json
from typing import Any

import pytest

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.data import event_log
from tests.tastemaker.assistant.api.conftest import Site


def events(catalogue: Catalogue, *actions: str, **fields: Any) -> dict[str, Any]:
    """A request with one event on each of the first items."""
    pairs = zip(catalogue.items, actions, strict=False)
    rows = [{"item_id": item.item_id, "action": action} for item, action in pairs]
    return {"events": rows, **fields}


def post(site: Site, body: str, kind: str = "application/json") -> Any:
    return site.http.post("/api/events", content=body, headers={"content-type": kind})


def test_events_are_stored_in_their_order_and_like_means_save(
    open_site: Site, catalogue: Catalogue
) -> None:
    actions = ["hide", "like", "closeup", "click", "save", "hide", "save"]
    reply = open_site.http.post("/api/events", json=events(catalogue, *actions, user="ada"))
    assert (reply.status_code, reply.json()) == (200, {"accepted": 7, "pushed": True})
    stored = event_log.of_user(open_site.services.engine, "ada")
    assert [event.item_id for event in stored] == [item.item_id for item in catalogue.items[:7]]
    assert [event.action for event in stored][:2] == ["hide", "save"]
    assert {event.surface for event in stored} == {"assistant"}
    assert len({event.time_ms for event in stored}) == 7


def test_events_are_kept_while_the_feature_store_is_down(
    open_site: Site, catalogue: Catalogue
) -> None:
    open_site.services.features.down = True
    body = events(catalogue, "save", user="ada")
    assert open_site.http.post("/api/events", json=body).json() == {"accepted": 1, "pushed": False}
    assert len(event_log.of_user(open_site.services.engine, "ada")) == 1


def test_events_belong_to_the_users_own_conversation(site: Site, catalogue: Catalogue) -> None:
    site.services.conversations.owners.update({"hers": "ada", "his": "bob", "guest": None})
    ada = site.as_("ada")
    for conversation in ("hers", "his", "forgotten", None):
        body = events(catalogue, "save", conversation=conversation)
        assert ada.post("/api/events", json=body).status_code == 200
    stored = event_log.of_user(site.services.engine, "ada")
    sessions = [event.session_id.partition("@")[0] for event in stored]
    assert sessions == ["hers", "ada", "ada", "ada"]  # never into another's conversation
    assert event_log.of_session(site.services.engine, "his") == []

    service = site.as_(role="service")
    body = events(catalogue, "save", conversation="guest")
    assert service.post("/api/events", json=body).status_code == 200
    assert event_log.of_session(site.services.engine, "guest")[0].user_id is None
    missing = service.post("/api/events", json=events(catalogue, "save", conversation="hers"))
    assert missing.status_code == 404
    nobody = service.post("/api/events", json=events(catalogue, "save"))
    assert (nobody.status_code, "a user or a conversation" in nobody.text) == (400, True)


def test_a_user_writes_no_events_of_another(site: Site, catalogue: Catalogue) -> None:
    body = events(catalogue, "hide", user="bob")
    assert site.as_("ada").post("/api/events", json=body).status_code == 403
    assert site.http.post("/api/events", json=body).status_code == 401
    assert event_log.of_user(site.services.engine, "bob") == []
    assert site.as_(role="service").post("/api/events", json=body).status_code == 200


def test_the_first_unknown_item_is_named_and_nothing_is_stored(
    open_site: Site, catalogue: Catalogue
) -> None:
    body = events(catalogue, "save", "save", user="ada")
    body["events"][1]["item_id"] = "no-such"
    body["events"].append({"item_id": "nor-this", "action": "save"})
    reply = open_site.http.post("/api/events", json=body)
    assert reply.status_code == 400
    assert "events.1.item_id: no item 'no-such'" in reply.json()
    assert event_log.of_user(open_site.services.engine, "ada") == []


def test_wrong_requests_are_a_400(open_site: Site, catalogue: Catalogue) -> None:
    item_id = catalogue.items[0].item_id
    good = {"item_id": item_id, "action": "save"}
    for wrong in (
        {"user": "ada", "events": []},
        {"user": "ada", "events": [good] * 101},
        {"user": "ada", "events": [{**good, "action": "impression"}]},
        {"user": "ada", "events": [{**good, "time_ms": 1}]},
        {"user": "ada", "events": [{**good, "surface": "x" * 50}]},
        {"user": "ada\x00", "events": [good]},
        {"user": "", "events": [good]},
        {"user": "ada", "events": [{**good, "item_id": "\ud800"}]},
        {"user": "\ud800", "events": [good]},
        {"user": "a", "conversation": "x" * 65, "events": [good]},
        {"user": {"$ne": ""}, "events": [good]},
        [],
    ):
        body = json.dumps(wrong)  # lone surrogates included
        assert post(open_site, body).status_code == 400, wrong
    for raw in ("", "{", "null", "[" * 100_000, "\x00", '{"user": 1e999}'):
        assert post(open_site, raw).status_code == 400, raw[:20]
    form = json.dumps({"user": "ada", "events": [good]})  # what another site's page could send
    assert post(open_site, form, "text/plain").status_code == 400
    many = {"user": "ada", "events": [good] * 100}
    assert open_site.http.post("/api/events", json=many).json()["accepted"] == 100


@pytest.mark.parametrize("user", ["ünï/cødé", "a" * 200, "'; drop table live_events; --"])
def test_odd_users_are_users(open_site: Site, catalogue: Catalogue, user: str) -> None:
    body = events(catalogue, "save", user=user)
    assert open_site.http.post("/api/events", json=body).status_code == 200
    assert len(event_log.of_user(open_site.services.engine, user)) == 1
