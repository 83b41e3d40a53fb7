from pathlib import Path

import pytest

from tastemaker.core.errors import NotFound
from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent
from tastemaker.features import config as places
from tastemaker.features import tables
from tastemaker.features.config import FeatureConfig
from tastemaker.features.online import OnlineFeatures
from tests.tastemaker.features.shop import NOW_MS, Shop, new_shop


def online(shop: Shop) -> OnlineFeatures:
    return OnlineFeatures(places.open_store(shop.home, shop.config))


def test_it_is_live_once_it_is_done_and_doing_it_again_changes_nothing(tmp_path: Path) -> None:
    shop = new_shop(tmp_path)
    with pytest.raises(NotFound, match="materialise-features"):
        places.current(shop.home)
    digest = shop.materialise()
    assert places.current(shop.home).tables == digest
    assert online(shop).tables() == digest
    assert shop.materialise() == digest
    read = online(shop).read_turn("u03", "none", NOW_MS)
    assert read["user_items"] == online_items(shop, "u03")
    assert read["embedding_model"] == shop.sequence
    assert read["embedding_ms"] == read["user_times"][-1]
    assert len(read["user_embedding"]) == 8


def online_items(shop: Shop, user: str) -> list[str]:
    folder = places.tables_folder(shop.home, places.current(shop.home).tables)
    rows = [row for part in tables.latest(folder, "user_history") for row in part]
    return next(row["user_items"] for row in rows if row["user_id"] == user)


def test_killed_it_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = new_shop(tmp_path)
    write, written = OnlineFeatures.write, []

    def dies(self: OnlineFeatures, view: str, rows: dict) -> None:
        if view == "item_signals" and len(written) < 3:
            raise KeyboardInterrupt
        written.append(view)
        write(self, view, rows)

    monkeypatch.setattr(OnlineFeatures, "write", dies)
    with pytest.raises(KeyboardInterrupt):
        shop.materialise()
    with pytest.raises(NotFound):
        places.current(shop.home)
    assert written == ["user_history", "user_embedding"]
    written.append("the second time")
    digest = shop.materialise()
    assert written[3:] == ["item_signals", "store_state"]
    assert online(shop).tables() == digest
    assert not list((shop.home.root / "checkpoints").iterdir())


def test_live_events_are_in_and_forgotten_users_are_out(tmp_path: Path) -> None:
    shop = new_shop(tmp_path)
    before = shop.materialise()
    event_log.append(shop.engine, [LiveEvent("new", "s", "i07", "save", "assistant", NOW_MS - 5)])
    event_log.forget_user(shop.engine, "u03")
    after = shop.materialise()
    assert after != before
    store = online(shop)
    assert store.read_turn("u03", "s", NOW_MS)["user_items"] is None
    assert store.read_turn("u03", "s", NOW_MS)["user_embedding"] is None
    assert store.read_turn("new", "s", NOW_MS)["user_items"] == ["i07"]
    assert store.read_turn("new", "s", NOW_MS)["save_1d"] == 1
    folder = places.tables_folder(shop.home, after)
    users = {row["user_id"] for part in tables.latest(folder, "user_history") for row in part}
    assert "u03" not in users
    assert {"u04", "new"} <= users
    assert not places.tables_folder(shop.home, before).exists(), "it holds the forgotten user"


def test_a_password_is_never_written(tmp_path: Path) -> None:
    shop = new_shop(tmp_path)
    with pytest.raises(ValueError, match="redis_password_env"):
        FeatureConfig(online="redis", redis_url="h:1,password=x")
    config = FeatureConfig(online="redis", redis_password_env="NOT_SET_ANYWHERE")
    generation = places.Generation("t", shop.dataset, shop.encoder, shop.sequence, 0)
    places.set_current(shop.home, config, generation)
    text = shop.home.path("features", "feature_store.yaml").read_text()
    assert "password=${NOT_SET_ANYWHERE}" in text
    with pytest.raises(ValueError, match="NOT_SET_ANYWHERE"):
        places.open_store(shop.home, config)
