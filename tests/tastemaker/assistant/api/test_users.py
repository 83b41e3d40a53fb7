from urllib.parse import quote

import pytest

from tastemaker.assistant.catalogue import Catalogue
from tastemaker.data import event_log
from tests.tastemaker.assistant.api.conftest import Site
from tests.tastemaker.assistant.api.test_events import events


def test_me_says_who_asks(site: Site, open_site: Site) -> None:
    assert open_site.http.get("/api/me").json() == {
        "name": "open",
        "user": None,
        "roles": ["operator"],
        "auth": "open",
    }
    mine = site.as_("ada").get("/api/me").json()
    assert (mine["user"], mine["roles"], mine["auth"]) == ("ada", ["user"], "keys")
    assert site.http.get("/api/me").status_code == 401


def test_sample_users_are_for_operators(site: Site, open_site: Site) -> None:
    (sample,) = open_site.http.get("/api/users").json()["users"]
    assert sample["user_id"] == "ada"
    assert sample["likes"]
    assert site.as_(role="operator").get("/api/users").json()["users"] == [sample]
    for caller in (site.as_("ada"), site.as_(role="service")):
        assert caller.get("/api/users").status_code == 403


def test_what_is_known_of_a_user(site: Site, catalogue: Catalogue) -> None:
    ada = site.as_("ada")
    ada.post("/api/events", json=events(catalogue, "closeup", "like"))
    site.services.boards.create("ada", "Hall", [catalogue.items[0].item_id])
    site.services.conversations.owners.update({"a": "ada", "b": "bob"})
    known = ada.get("/api/users/ada").json()
    assert (known["num_events"], known["num_boards"], known["num_conversations"]) == (2, 1, 1)
    assert (known["counts"], known["categories"]) == ({"save_1d": 1}, {"vase": 1.0})
    newest, older = known["recent"]
    assert (newest["item_id"], newest["action"]) == (catalogue.items[1].item_id, "save")
    assert (older["title"], older["action"]) == (catalogue.items[0].title, "closeup")
    assert newest["time_ms"] > older["time_ms"]


def test_an_unknown_user_has_nothing(open_site: Site) -> None:
    for user in ("nobody", "a/b", "ünï cødé", "DELETE"):
        reply = open_site.http.get(f"/api/users/{quote(user, safe='')}")
        assert reply.status_code == 200
        known = reply.json()
        assert (known["user_id"], known["num_events"], known["recent"]) == (user, 0, [])
    assert open_site.http.get("/api/users/a%00b").status_code == 400
    assert open_site.http.get("/api/users/" + "a" * 201).status_code == 400


def test_an_item_that_left_the_catalogue_is_not_shown(open_site: Site) -> None:
    event = event_log.LiveEvent("ada", "s", "gone", "save", "feed", 1)
    event_log.append(open_site.services.engine, [event])
    known = open_site.http.get("/api/users/ada").json()
    assert (known["num_events"], known["recent"]) == (1, [])


def test_deletion_takes_everything_of_one_user_and_nothing_of_another(
    site: Site, catalogue: Catalogue
) -> None:
    ada, bob = site.as_("ada"), site.as_("bob")
    for one in (ada, bob):
        one.post("/api/events", json=events(catalogue, "save", "save"))
    for user in ("ada", "bob"):
        site.services.boards.create(user, "Hall", [])
    site.services.conversations.owners.update({"a": "ada", "b": "bob"})
    gone = ada.delete("/api/users/ada").json()
    assert gone == {
        "deleted": {"events": 2, "features": 3, "conversations": 1, "turns": 2, "boards": 1}
    }
    again = ada.delete("/api/users/ada").json()
    assert set(again["deleted"].values()) == {0}
    assert set(site.services.ledger.forgotten) == {"ada"}
    assert ada.get("/api/users/ada").json()["num_events"] == 0
    his = bob.get("/api/users/bob").json()
    assert [his[f"num_{kind}"] for kind in ("events", "boards", "conversations")] == [2, 1, 1]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_user_reaches_no_other_user(site: Site, catalogue: Catalogue, method: str) -> None:
    site.as_("bob").post("/api/events", json=events(catalogue, "save"))
    ada = site.as_("ada")
    for path in ("/api/users/bob", "/api/users/bob/", "/api/users/ada/../bob", "/api/users/Ada"):
        reply = ada.request(method, path)
        assert reply.status_code == 403, path
        assert "num_events" not in reply.text
    assert site.http.request(method, "/api/users/bob").status_code == 401
    assert len(event_log.of_user(site.services.engine, "bob")) == 1
    service = site.as_(role="service")
    assert service.request(method, "/api/users/bob").status_code == 200


def test_a_revoked_key_and_one_too_fast_are_refused(site: Site) -> None:
    ada = site.as_("ada", requests_per_minute=2, cents_per_day=0.0)
    assert [ada.get("/api/me").status_code for _ in range(3)] == [200, 200, 429]
    bob = site.as_("bob")
    assert bob.get("/api/me").status_code == 200
    site.services.identity.keys.revoke(bob.get("/api/me").json()["name"])
    assert bob.get("/api/me").status_code == 401


def test_events_are_seen_and_deleted_while_the_feature_store_is_down(
    site: Site, catalogue: Catalogue
) -> None:
    site.services.features.down = True
    ada = site.as_("ada")
    ada.post("/api/events", json=events(catalogue, "closeup", "save"))
    known = ada.get("/api/users/ada").json()
    assert [item["action"] for item in known["recent"]] == ["save", "closeup"]
    assert (known["counts"], known["missing"]) == ({}, ["user_history"])
    assert ada.delete("/api/users/ada").json()["deleted"]["events"] == 2
    assert ada.get("/api/users/ada").json()["recent"] == []


def test_the_openapi_document_names_every_answer(site: Site) -> None:
    document = site.app.openapi()
    assert set(document["paths"]) == {
        "/api/me",
        "/api/users",
        "/api/users/{user_id}",
        "/api/events",
        "/api/boards",
        "/api/boards/{board_id}",
        "/api/tools",
        "/api/tools/{name}",
    }
    for path in document["paths"].values():
        for operation in path.values():
            good = next(code for code in operation["responses"] if code.startswith("2"))
            if good != "204":  # has no content
                content = operation["responses"][good]["content"]["application/json"]
                assert "$ref" in content["schema"]
            assert operation["security"] == [{"HTTPBearer": []}]
