"""Definitions in an SQL registry, and Feast's own server over them and a real Redis."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml
from sqlalchemy import create_engine, text

from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent
from tastemaker.features import config as places
from tastemaker.features.config import FeatureConfig
from tastemaker.features.online import OnlineFeatures
from tests.tastemaker.features.conftest import RedisServer
from tests.tastemaker.features.shop import NOW_MS, Shop, new_shop
from tests.tastemaker.features.test_skew import read_all

VARIABLE = "FEATURE_REGISTRY_URL"


@pytest.fixture(scope="module")
def registered(redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = Path(tmp_path_factory.mktemp("sql"))
    os.environ[VARIABLE] = f"sqlite:///{folder}/registry.db"
    config = FeatureConfig(
        online="redis", redis_url=redis.url, registry="sql", registry_url_env=VARIABLE
    )
    shop = new_shop(folder / "home", config)
    shop.materialise()
    return shop


def test_a_registry_without_its_variable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="registry_url_env"):
        FeatureConfig(registry="sql")
    shop = new_shop(tmp_path, FeatureConfig(registry="sql", registry_url_env="NOT_SET_ANYWHERE"))
    generation = places.Generation("t", shop.dataset, shop.encoder, shop.sequence, 0)
    places.set_current(shop.home, shop.config, generation)
    with pytest.raises(ValueError, match="NOT_SET_ANYWHERE"):
        places.open_store(shop.home, shop.config)


def test_the_store_opens_without_the_generations_own_registry(registered: Shop) -> None:
    home = registered.home
    tables = places.current(home).tables
    places.tables_folder(home, f"{tables}.db").rename(home.path("aside.db"))
    try:
        store = OnlineFeatures(places.open_store(home, registered.config))
        assert store.tables() == tables
    finally:
        home.path("aside.db").rename(places.tables_folder(home, f"{tables}.db"))


def test_the_next_generation_replaces_the_definitions(registered: Shop) -> None:
    engine = create_engine(os.environ[VARIABLE])
    count = text("select count(*) from feature_views")
    with engine.connect() as connection:
        before = connection.execute(count).scalar_one()
    event = LiveEvent("new", "s", "i07", "save", "assistant", NOW_MS - 5)
    event_log.append(registered.engine, [event])
    registered.materialise()
    tables = places.current(registered.home).tables
    store = places.open_store(registered.home, registered.config)
    view = store.get_feature_view("user_history")
    assert tables in view.batch_source.path
    with engine.connect() as connection:
        assert connection.execute(count).scalar_one() == before > 0
    own = places.open_store(registered.home, registered.config.by_file())
    assert tables in own.get_feature_view("user_history").batch_source.path


@pytest.mark.slow
def test_features_over_http(registered: Shop) -> None:
    """`feast serve` over the very feature_store.yaml that a materialisation writes."""
    file = registered.home.path("features", "feature_store.yaml")
    assert yaml.safe_load(file.read_text())["registry"]["path"] == f"${{{VARIABLE}}}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    feast = str(Path(sys.executable).with_name("feast"))
    command = [feast, "-f", str(file), "serve", "--port", str(port), "--no-access-log"]
    server = subprocess.Popen(command, cwd=registered.home.root, start_new_session=True)
    try:
        base = f"http://127.0.0.1:{port}"
        _wait(server, f"{base}/health")
        asked = {
            "feature_service": "assistant_stored",
            "entities": {"user_id": ["u04"], "session_id": ["none"]},
        }
        answer = httpx.post(f"{base}/get-online-features", json=asked, timeout=60).json()
        names = answer["metadata"]["feature_names"]
        items = answer["results"][names.index("user_items")]["values"][0]
        store = OnlineFeatures(places.open_store(registered.home, registered.config))
        (row,) = asyncio.run(read_all(store, [("u04", "none", 0)]))
        assert items == row["user_items"]
        assert items
    finally:
        os.killpg(server.pid, signal.SIGKILL)  # its workers too
        server.wait()


def _wait(server: subprocess.Popen, url: str) -> None:
    for _ in range(360):
        assert server.poll() is None, "feast serve ended"
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise AssertionError("feast serve did not come up")
