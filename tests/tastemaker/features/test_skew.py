"""Training and serving see the same features: the same events, by both ways, at one instant."""

import asyncio
import math
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from prometheus_client import CollectorRegistry

from tastemaker.data import event_log
from tastemaker.data.dataset import load_dataset
from tastemaker.data.event_log import LiveEvent
from tastemaker.features.client import FeatureClient
from tastemaker.features.config import open_store
from tastemaker.features.online import OnlineFeatures
from tastemaker.features.training_set import answers
from tests.tastemaker.features.shop import NOW_MS, Shop, new_shop

KEYS = {"event_timestamp", "now_ms", "user_id", "session_id"}
NUM_INSTANTS, PER_INSTANT = 25, 8


def questions(rows: list[tuple[str, str, int]]) -> pa.Table:
    users, sessions, times = zip(*rows, strict=True)
    stamps = pa.array(times, pa.int64()).cast(pa.timestamp("ms", tz="UTC"))
    return pa.table(
        {"user_id": users, "session_id": sessions, "event_timestamp": stamps, "now_ms": times}
    )


def historical(shop: Shop, rows: list[tuple[str, str, int]]) -> list[dict[str, Any]]:
    store = open_store(shop.home, shop.config)
    return [row for t in answers(store, "assistant", questions(rows)) for row in t.to_pylist()]


def assert_same(one: dict[str, Any], other: dict[str, Any], names: set[str]) -> None:
    for name in names:
        left, right = one[name] or None, other[name] or None  # nothing is None, 0, "" or []
        if isinstance(left, float) and isinstance(right, float):
            assert math.isclose(left, right, abs_tol=1e-6), name
        elif isinstance(left, list) and left and isinstance(left[0], float):
            assert left == pytest.approx(right, abs=1e-6), name
        else:
            assert left == right, name


def test_pushed_events_give_what_the_offline_tables_say(shop: Shop, tmp_path: Path) -> None:
    """Events of the shop are replayed into a second home, one instant after the other."""
    rng = random.Random(1)
    beside = {"redis_url": f"{shop.config.redis_url},db=1"}
    live = new_shop(tmp_path, shop.config.model_copy(update=beside), users=0)
    live.materialise()
    events = load_dataset(shop.home, shop.dataset).read("events").to_pylist()
    log = [
        LiveEvent(time_ms=round(event.pop("time").timestamp() * 1000), **event) for event in events
    ]
    times = sorted(event.time_ms for event in log)
    rng.shuffle(log)
    instants = [*sorted(rng.sample(times, NUM_INSTANTS - 2)), times[-1], times[-1] + 86400000]
    users, sessions = sorted({e.user_id for e in log}), sorted({e.session_id for e in log})
    asked: list[tuple[str, str, int]] = []
    served: list[dict[str, Any]] = []

    async def replay() -> None:
        client = FeatureClient(
            live.home, live.config, live.engine, live.facts, registry=CollectorRegistry()
        )
        client.start()
        before = -1
        for instant in instants:
            new = [event for event in log if before < event.time_ms <= instant]
            middle = len(new) // 2
            pushed = await asyncio.gather(client.record(new[:middle]), client.record(new[middle:]))
            assert all(pushed)
            before = instant
            for _ in range(PER_INSTANT):
                user, session = rng.choice(users), rng.choice(sessions)
                if rng.random() < 0.8 and new:  # somebody who has just done something
                    one = rng.choice(new)
                    user, session = one.user_id or "", one.session_id
                asked.append((user, session, instant))
                opened = client.outbox.opened
                assert opened is not None
                served.append(await read(opened.reader, *asked[-1]))
        await client.close()

    asyncio.run(replay())
    trained = historical(shop, asked)
    names = set(trained[0]) - KEYS - {"user_embedding", "embedding_model", "embedding_ms"}
    assert len(names) == 12 + 5 + 2 + 5 + 7  # counts, the rest, session signals; both histories
    for one, other in zip(served, trained, strict=True):
        assert_same(one, other, names)
    assert sum(bool(row["session_items"]) for row in served) > 100
    assert event_log.pending(live.engine) == []


def test_materialised_rows_are_the_latest_of_the_offline_tables(shop: Shop) -> None:
    asked = [(f"u{n:02d}", "none", NOW_MS) for n in range(13)]
    online = OnlineFeatures(open_store(shop.home, shop.config))
    served = asyncio.run(read_all(online, asked))
    trained = historical(shop, asked)
    names = set(trained[0]) - KEYS
    for one, other in zip(served, trained, strict=True):
        assert_same(one, other, names)
    assert sum(row["user_embedding"] is not None for row in trained) >= 10


def test_a_turn_reads_what_feast_itself_computes(shop: Shop) -> None:
    online = OnlineFeatures(open_store(shop.home, shop.config))
    online.warm_up()
    service = online.store.get_feature_service("assistant")
    for user in ("u01", "u09", "nobody"):
        row = {"user_id": user, "session_id": "s", "now_ms": NOW_MS}
        whole = online.store.get_online_features(features=service, entity_rows=[row]).to_dict()
        (mine,) = asyncio.run(read_all(online, [(user, "s", NOW_MS)]))
        assert_same({k: v[0] for k, v in whole.items()}, mine, set(whole) - KEYS)


async def read(online: OnlineFeatures, user: str, session: str, now_ms: int) -> dict[str, Any]:
    """A turn's features, as the client reads them from this kind of store."""
    if online.config.online_store.type == "sqlite":
        return online.read_turn(user, session, now_ms)
    return await online.read_turn_async(user, session, now_ms)


async def read_all(
    online: OnlineFeatures, asked: list[tuple[str, str, int]]
) -> list[dict[str, Any]]:
    try:
        return [await read(online, *one) for one in asked]
    finally:
        await online.aclose()


def test_feasts_own_push_and_ours_write_the_same(tmp_path: Path) -> None:
    import pandas as pd

    from tastemaker.features.online import history_row

    shop = new_shop(tmp_path)
    shop.materialise()
    online = OnlineFeatures(open_store(shop.home, shop.config))
    time_ms, columns = history_row(shop.facts, ((5000, "i03", "save"), (7000, "i05", "click")))
    online.write("user_history", {"ours": (time_ms, columns)})
    stamp = pd.Timestamp(time_ms, unit="ms", tz="UTC")
    frame = pd.DataFrame([{"user_id": "theirs", "event_timestamp": stamp, **columns}])
    online.store.push("user_history_push", frame)
    ours, theirs = (online.read_turn(name, "s", NOW_MS) for name in ("ours", "theirs"))
    assert_same(ours, theirs, set(ours) - KEYS)
    assert theirs["user_items"] == ["i03", "i05"]
