"""The routes of users and events on the real feature client and its real store."""

import asyncio
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from tastemaker.assistant.catalogue import Item
from tastemaker.assistant.identity import IdentityConfig
from tastemaker.features.client import FeatureClient
from tastemaker.features.config import FeatureConfig
from tests.tastemaker.assistant.api.conftest import Site, make_site
from tests.tastemaker.features.shop import Shop, new_shop


def catalogue_of(shop: Shop) -> Any:
    pairs = zip(shop.facts.item_ids, shop.facts.categories, strict=True)
    items = {one: Item(one, f"title of {one}", "", category, {}, 1.0) for one, category in pairs}
    return SimpleNamespace(place=shop.facts.place, item=items.__getitem__)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    config = FeatureConfig(check_s=0.2, push_wait_s=20.0)
    shop = new_shop(tmp_path_factory.mktemp("shop"), config)
    shop.materialise()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tastemaker.assistant.examples.sample_users", lambda _: [])
        folder = tmp_path_factory.mktemp("site")
        site = make_site(folder, catalogue_of(shop), IdentityConfig(auth="keys"))
    services = site.services
    features = FeatureClient(
        shop.home, config, services.engine, shop.facts, registry=CollectorRegistry()
    )
    services.features = features
    features.start()
    end = time.monotonic() + 60
    while features.outbox.opened is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    yield site
    asyncio.run(features.close())


def save(who: Any, *item_ids: str) -> Any:
    rows = [{"item_id": item_id, "action": "like"} for item_id in item_ids]
    return who.post("/api/events", json={"events": rows}).json()


def test_three_saves_are_known_at_once_and_forgotten_at_once(live: Site) -> None:
    ada, bob = live.as_("ada"), live.as_("bob")
    assert save(ada, "i00", "i04", "i01") == {"accepted": 3, "pushed": True}
    assert save(bob, "i02") == {"accepted": 1, "pushed": True}
    known = ada.get("/api/users/ada").json()
    assert (known["counts"]["save_1d"], known["num_events"]) == (3, 3)
    assert [row["item_id"] for row in known["recent"]] == ["i01", "i04", "i00"]
    assert known["categories"]["lamp"] > known["categories"]["rug"] > 0
    assert known["recency_s"] < 60

    deleted = ada.delete("/api/users/ada").json()["deleted"]
    assert deleted["events"] == 3
    assert deleted["features"] > 0
    gone = ada.get("/api/users/ada").json()
    assert (gone["num_events"], gone["recent"], gone["categories"]) == (0, [], {})
    assert set(gone["counts"].values()) == {0}
    assert bob.get("/api/users/bob").json()["counts"]["save_1d"] == 1
    assert save(ada, "i03") == {"accepted": 1, "pushed": True}  # who comes back starts afresh
    assert ada.get("/api/users/ada").json()["counts"]["save_1d"] == 1


def test_the_past_in_the_dataset_is_shown_and_forgotten_too(live: Site) -> None:
    user = live.as_("u03")
    assert user.get("/api/users/u03").json()["recent"]
    assert user.delete("/api/users/u03").json()["deleted"]["features"] > 0
    assert user.get("/api/users/u03").json()["recent"] == []
