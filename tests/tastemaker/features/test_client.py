import asyncio
import shutil
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from redis import Redis

from tastemaker.core.errors import DataError
from tastemaker.data import event_log
from tastemaker.data.event_log import LiveEvent
from tastemaker.features.client import GROUPS, FeatureClient
from tastemaker.features.config import FeatureConfig, open_store
from tastemaker.features.online import OnlineFeatures, history_row
from tests.tastemaker.features.conftest import RedisServer
from tests.tastemaker.features.shop import NOW_MS, Shop, new_shop

SAVE = LiveEvent("live", "talk", "i01", "save", "assistant", NOW_MS - 60_000)
PATIENT_S = 20.0


@asynccontextmanager
async def client_of(shop: Shop) -> AsyncIterator[FeatureClient]:
    client = FeatureClient(
        shop.home, shop.config, shop.engine, shop.facts, registry=CollectorRegistry()
    )
    client.start()
    try:
        yield client
    finally:
        await client.close()


async def until(true: Callable[[], bool], timeout_s: float = 30.0) -> None:
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "it did not happen"
        await asyncio.sleep(0.02)


def metric(client: FeatureClient, name: str) -> float:
    text = generate_latest(client.registry).decode()
    return float(next(line.split()[-1] for line in text.splitlines() if line.startswith(name)))


async def ready(client: FeatureClient) -> None:
    await until(lambda: client.outbox.opened is not None)


async def read(client: FeatureClient, user: str | None, session: str = "none"):  # type: ignore[no-untyped-def]
    return await client.read(user, session, deadline_s=PATIENT_S, now_ms=NOW_MS)


def test_what_is_recorded_is_in_the_next_read(shop: Shop) -> None:
    async def drill() -> None:
        async with client_of(shop) as client:
            events = [replace(SAVE, item_id=f"i{n:02d}", time_ms=NOW_MS - n) for n in (4, 8, 12)]
            assert await client.record([*events, replace(SAVE, action="impression")])
            found = await read(client, "live", "talk")
            assert [event[0] for event in found.history] == ["i12", "i08", "i04"]
            assert found.session.items == found.history
            assert found.session.intent == "lamp"
            assert found.categories == {"lamp": 1.0}
            assert found.counts["save_1d"] == 3
            assert found.recency_s == pytest.approx(0.004)
            expected = shop.facts.session_embedding(
                shop.facts.history(
                    tuple((time_ms, item, action) for item, action, time_ms in found.history)
                )
            )
            np.testing.assert_allclose(found.session.embedding, expected, atol=1e-6)
            assert found.missing == ("user_embedding",)
            assert client.staleness_s() == 0.0
            nobody = await read(client, None, "elsewhere")
            assert nobody.missing == GROUPS
            assert (nobody.late, nobody.history, nobody.counts["save_1d"]) == (False, (), 0)

    asyncio.run(drill())


def test_a_known_user_has_an_embedding_and_its_model(shop: Shop) -> None:
    async def drill() -> None:
        async with client_of(shop) as client:
            await ready(client)
            before = await read(client, "u04")
            assert before.embedding_model == shop.sequence
            assert before.user_embedding.shape == (8,)
            assert before.staleness_s == 0.0
            newest_ms = before.history[-1][2]
            assert await client.record([replace(SAVE, user_id="u04", time_ms=newest_ms + 7000)])
            after = await read(client, "u04")
            assert after.staleness_s == 7.0, "the embedding has not seen the latest event"
            assert after.history[-1][0] == "i01"

    asyncio.run(drill())


def test_many_waiting_events_become_few_writes(shop: Shop) -> None:
    async def drill() -> None:
        async with client_of(shop) as client:
            events = [
                replace(SAVE, user_id=f"many{n % 7}", session_id="m", time_ms=NOW_MS - n)
                for n in range(200)
            ]
            pushed = await asyncio.gather(*(client.record([event]) for event in events))
            assert all(pushed)
            assert metric(client, "tastemaker_feature_push_seconds_count") < 60
            assert metric(client, "tastemaker_feature_pushed_events_total") == 200
            for user in range(7):
                found = await read(client, f"many{user}", "m")
                assert len(found.history) == len(range(user, 200, 7))
            assert len(found.session.items) == 64, "all of them talked in one session"

    asyncio.run(drill())


def test_late_gives_defaults_and_is_counted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    async def drill() -> None:
        async with client_of(shop) as client:
            await ready(client)
            assert client.outbox.opened is not None
            reader = client.outbox.opened.reader
            fast, fast_async = reader.read_turn, reader.read_turn_async

            def slow(*args: Any) -> Any:
                time.sleep(0.2)
                return fast(*args)

            async def slow_async(*args: Any) -> Any:
                await asyncio.sleep(0.2)
                return await fast_async(*args)

            monkeypatch.setattr(reader, "read_turn", slow)
            monkeypatch.setattr(reader, "read_turn_async", slow_async)
            began = time.monotonic()
            found = await client.read("u04", "none", deadline_s=0.01)
            if shop.config.online == "sqlite":  # a file of this machine is read to the end
                assert found.history
                assert metric(client, 'tastemaker_feature_reads_total{outcome="ok"}') == 1
                return
            assert time.monotonic() - began < 0.15
            assert found.late
            assert (found.history, found.missing) == ((), GROUPS)
            assert metric(client, 'tastemaker_feature_reads_total{outcome="late"}') == 1

    asyncio.run(drill())


def test_a_forgotten_user_is_gone_and_may_begin_again(shop: Shop) -> None:
    async def drill() -> None:
        async with client_of(shop) as client:
            mine = replace(SAVE, user_id="u05", session_id="mine")
            assert await client.record([mine])
            assert len((await read(client, "u05", "mine")).history) > 1
            gone = await client.forget("u05")
            assert gone == {"events": 1, "features": 3}
            found = await read(client, "u05", "mine")
            assert found.missing == GROUPS
            assert await client.record([mine]), "the past is dropped, not an error"
            assert (await read(client, "u05", "mine")).missing == GROUPS
            now_ms = int(time.time() * 1000) + 1000
            assert await client.record([replace(mine, time_ms=now_ms, item_id="i02")])
            assert [event[0] for event in (await read(client, "u05")).history] == ["i02"]

    asyncio.run(drill())


def test_a_wrong_event_is_refused(shop: Shop) -> None:
    async def drill() -> None:
        async with client_of(shop) as client:
            with pytest.raises(DataError, match="unknown action"):
                await client.record([replace(SAVE, action="like")])

    asyncio.run(drill())


def test_events_before_any_materialisation_wait_and_are_pushed_after_it(tmp_path: Path) -> None:
    async def drill() -> None:
        shop = new_shop(tmp_path, FeatureConfig(check_s=0.1, push_wait_s=0.3))
        async with client_of(shop) as client:
            assert not await client.record([SAVE])
            found = await read(client, "live", "talk")
            assert (found.missing, found.late) == (GROUPS, False)
            assert client.staleness_s() > 0
            await asyncio.to_thread(shop.materialise)
            await until(lambda: client.staleness_s() == 0 and client.outbox.opened is not None)
            assert [event[0] for event in (await read(client, "live", "talk")).history] == ["i01"]
            first = client.outbox.opened
            event_log.append(shop.engine, [replace(SAVE, user_id="other")])
            await asyncio.to_thread(shop.materialise)
            await until(lambda: client.outbox.opened is not first)
            assert len((await read(client, "u04")).history) > 0

    asyncio.run(drill())


@pytest.mark.slow
def test_a_redis_that_lost_everything_is_filled_again(redis: RedisServer, tmp_path: Path) -> None:
    async def drill() -> None:
        config = FeatureConfig(
            online="redis", redis_url=redis.url, check_s=0.1, push_wait_s=10, redis_timeout_s=0.3
        )
        shop = new_shop(tmp_path, config)
        shop.materialise()
        async with client_of(shop) as client:
            now_ms = int(time.time() * 1000)
            one = replace(SAVE, user_id="u06", session_id="s", time_ms=now_ms)
            assert await client.record([one])
            before = await read(client, "u06", "s")
            redis.stop()
            client.outbox.config = config.model_copy(update={"push_wait_s": 0.5})
            assert not await client.record([replace(one, item_id="i03", time_ms=now_ms + 1)])
            down = await read(client, "u06", "s")
            assert (down.missing, down.late, down.down) == (GROUPS, False, True)
            assert metric(client, "tastemaker_feature_store_up") == 0
            assert (await client.forget("u07"))["features"] == 0
            redis.start()
            await until(lambda: client.staleness_s() == 0 and metric_up(client))
            after = await read(client, "u06", "s")
            assert after.history == (*before.history, ("i03", "save", now_ms + 1))[-64:]
            assert after.session.items == (("i01", "save", now_ms), ("i03", "save", now_ms + 1))
            assert after.embedding_model == shop.sequence
            assert metric(client, "tastemaker_feature_refills_total") == 1
            assert (await read(client, "u07")).missing == GROUPS, "forgotten while it was down"
            redis.stop()
            redis.start()  # with no request in between that fails
            await until(lambda: metric(client, "tastemaker_feature_refills_total") == 2)
            assert (await read(client, "u06", "s")).history == after.history

    asyncio.run(drill())


def empty(redis: RedisServer) -> None:
    host, port = redis.url.split(":")
    with Redis(host, int(port)) as server:
        server.flushall()


@asynccontextmanager
async def rarely_looking(redis: RedisServer, folder: Path) -> AsyncIterator[FeatureClient]:
    """A client that looks after its store once a minute, and one event of u06's."""
    config = FeatureConfig(online="redis", redis_url=redis.url, check_s=60, push_wait_s=10)
    shop = new_shop(folder, config)
    shop.materialise()
    async with client_of(shop) as client:
        assert await client.record([replace(SAVE, user_id="u06", session_id="s")])
        yield client


@pytest.mark.slow
def test_a_push_into_a_store_that_lost_its_data_fills_it_first(
    redis: RedisServer, tmp_path: Path
) -> None:
    async def drill() -> None:
        async with rarely_looking(redis, tmp_path) as client:
            before = await read(client, "u06", "s")
            empty(redis)
            more = replace(SAVE, user_id="u06", session_id="s", item_id="i03", time_ms=NOW_MS - 1)
            assert await client.record([more])
            after = await read(client, "u06", "s")
            assert (after.down, after.embedding_model) == (False, before.embedding_model)
            assert after.history == (*before.history, ("i03", "save", NOW_MS - 1))[-64:]

    asyncio.run(drill())


@pytest.mark.slow
def test_a_read_finds_that_the_store_lost_its_data_whatever_it_holds_since(
    redis: RedisServer, tmp_path: Path
) -> None:
    async def drill() -> None:
        async with rarely_looking(redis, tmp_path) as client:
            assert client.outbox.opened is not None
            before, writer = await read(client, "u06", "s"), client.outbox.opened.writer
            empty(redis)
            row = history_row(client.facts, ((NOW_MS, "i03", "save"),))
            writer.write("user_history", {"u06": row})  # as another gateway might
            assert (await read(client, "u06", "s")).down
            await until(lambda: metric(client, "tastemaker_feature_refills_total") == 1)
            after = await read(client, "u06", "s")
            assert set(before.history) <= set(after.history)
            assert (await read(client, None, "s")).down is False

    asyncio.run(drill())


@pytest.mark.slow
def test_a_look_that_is_asked_for_during_another_one_is_not_lost(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def drill() -> None:
        async with rarely_looking(redis, tmp_path) as client:
            assert client.outbox.opened is not None
            writer = client.outbox.opened.writer

            def full() -> str:  # it was, a moment ago
                monkeypatch.undo()
                empty(redis)
                client.outbox.look_now()
                return "full"

            monkeypatch.setattr(writer, "tables", full)
            client.outbox.look_now()
            await until(lambda: metric(client, "tastemaker_feature_refills_total") == 1)

    asyncio.run(drill())


@pytest.mark.slow
def test_a_read_that_is_under_way_ends_well_when_other_features_become_live(
    redis: RedisServer, tmp_path: Path
) -> None:
    async def drill() -> None:
        async with rarely_looking(redis, tmp_path) as client:
            before = await read(client, "u06", "s")
            opened, home, config = client.outbox.opened, client.outbox.home, client.config
            assert opened is not None
            assert redis.process is not None
            other = OnlineFeatures(open_store(home, config, opened.generation.tables))
            redis.process.send_signal(signal.SIGSTOP)
            first = asyncio.ensure_future(read(client, "u06", "s"))
            await asyncio.sleep(0.05)  # its request is on its way
            client.outbox.opened = replace(opened, reader=other)
            second = asyncio.ensure_future(read(client, "u06", "s"))
            await asyncio.sleep(0.05)
            redis.process.send_signal(signal.SIGCONT)
            for found in await asyncio.gather(first, second):
                assert found.history == before.history
            assert before.history

    asyncio.run(drill())


@pytest.mark.slow
def test_a_redis_that_hangs_holds_nobody_up(redis: RedisServer, tmp_path: Path) -> None:
    async def drill() -> None:
        times = {"check_s": 0.1, "push_wait_s": 10, "redis_timeout_s": 0.2}
        shop = new_shop(tmp_path, FeatureConfig(online="redis", redis_url=redis.url, **times))
        shop.materialise()
        async with client_of(shop) as client:
            await ready(client)
            assert redis.process is not None
            redis.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            many = [client.read("u04", "none", deadline_s=0.05) for _ in range(20)]
            assert all(found.late for found in await asyncio.gather(*many))
            assert time.monotonic() - began < 0.5
            assert not await client.record([replace(SAVE, user_id="u08")])
            redis.process.send_signal(signal.SIGCONT)
            await until(lambda: client.staleness_s() == 0)
            assert (await read(client, "u08")).history[-1][0] == "i01"

    asyncio.run(drill())


def test_reads_at_once_do_not_mix_users(shop: Shop) -> None:
    async def drill() -> None:
        async with client_of(shop) as client:
            await ready(client)
            users = [f"u{n:02d}" for n in range(12) if n != 5] * 20
            alone = {user: await read(client, user) for user in set(users)}
            together = await asyncio.gather(*(read(client, user) for user in users))
            assert all(found.history == alone[found.user_id].history for found in together)
            assert len({found.history for found in together}) == 11

    asyncio.run(drill())


def metric_up(client: FeatureClient) -> bool:
    return metric(client, "tastemaker_feature_store_up") == 1


def test_a_lost_sqlite_file_is_made_again_at_the_next_start(tmp_path: Path) -> None:
    async def drill() -> None:
        shop = new_shop(tmp_path, FeatureConfig(check_s=0.1, push_wait_s=10))
        shop.materialise()
        for file in shop.home.path("features", "x").parent.glob("online.db*"):
            file.unlink()
        async with client_of(shop) as client:
            await until(lambda: metric(client, "tastemaker_feature_refills_total") == 1)
            assert (await read(client, "u04")).embedding_model == shop.sequence
        shutil.rmtree(shop.home.root)

    asyncio.run(drill())
