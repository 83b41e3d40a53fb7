"""Features of a home on S3: made on one machine, read and learned from on another."""

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tastemaker.core.errors import ConfigError, NotFound
from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.features.config import FeatureConfig, current, open_store
from tastemaker.jobs import make_training_set
from tests.tastemaker.core.s3_server import Server, conditional
from tests.tastemaker.features.conftest import RedisServer
from tests.tastemaker.features.shop import new_shop
from tests.tastemaker.features.test_client import SAVE, client_of, read, ready

pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with conditional(tmp_path) as server:
        yield server


def test_another_machine_reads_and_learns_from_what_one_has_materialised(
    server: Server, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = FeatureConfig(online="redis", redis_url=redis.url, check_s=0.2, push_wait_s=20.0)
    shop = new_shop(server.set(monkeypatch, tmp_path / "one"), config)
    first = shop.materialise()
    monkeypatch.setenv("TASTEMAKER_CACHE", str(tmp_path / "two"))
    there = replace(shop, home=Home.open())
    assert there.home.root != shop.home.root
    assert current(there.home) == current(shop.home)

    async def drill() -> None:
        async with client_of(there) as client:
            await ready(client)
            assert len((await read(client, "u04")).history) > 0

    asyncio.run(drill())
    digest = make_training_set.run(there.home, "next_item", shop.engine, config)
    assert digest == make_training_set.run(shop.home, "next_item", shop.engine, config)
    shutil.rmtree(tmp_path / "two")
    fetched = Home.open().fetch("training_sets", f"{digest}.parquet")
    assert pq.read_table(fetched).num_rows > 0

    event_log.append(shop.engine, [replace(SAVE, user_id="other")])
    second = shop.materialise()
    assert shop.home.store is not None
    assert set(shop.home.store.names("features")) == {second, "current.yaml"}, f"{first} is gone"
    assert not shop.home.holds("features", first)


def test_an_online_store_in_a_file_is_refused(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home = Home.open(server.set(monkeypatch, tmp_path / "one"))
    with pytest.raises(ConfigError, match="set online=redis and redis_url"):
        open_store(home, FeatureConfig(), "aa")
    with pytest.raises(NotFound, match="no features in s3://bucket/some/home"):
        current(home)
