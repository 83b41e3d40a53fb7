"""One read of a turn's features in process, SQLite and Redis, against one call per view.

    python -m benchmarks.feature_reads          (needs redis-server on PATH; about a minute)

Protocol: 200 users with full histories of 64 events, a user embedding of 128 and a session each;
2,000 warm reads of one user through `FeatureClient.read`, deadline and thread included, p50 and
p99 by the wall clock. The baseline reads the same values with one `get_online_features` for each
feature view and each on-demand view of the service `assistant`, without deadline or thread. The
push rows compare one user's row written by the client's way with `FeatureStore.push`. The process
keeps its garbage collections and thread switches short, as the gateway does, for both.
"""

import asyncio
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd
from prometheus_client import CollectorRegistry

from benchmarks.rows import row, save
from tastemaker.assistant.pauses import keep_short
from tastemaker.core.database import open_database
from tastemaker.core.home import Home
from tastemaker.features.client import FeatureClient
from tastemaker.features.config import (
    FeatureConfig,
    Generation,
    open_store,
    set_current,
    tables_folder,
)
from tastemaker.features.definitions import definitions
from tastemaker.features.item_facts import ItemFacts
from tastemaker.features.online import STATE, OnlineFeatures, history_row, session_row
from tastemaker.features.signals import KEPT, READ

COMMAND = "python -m benchmarks.feature_reads"
READS, USERS, DIM, GOAL_MS = 2000, 200, 128, 5.0
DEADLINE_S = 1.0


def measure(reads: int = READS) -> list[dict[str, Any]]:
    """Rows of both stores; p99 rows have the goal.

    Args:
        reads: Warm reads of each measurement.
    """
    rows = _of_store("SQLite", FeatureConfig(), reads)
    if shutil.which("redis-server"):
        with redis_server() as url:
            rows += _of_store("Redis", FeatureConfig(online="redis", redis_url=url), reads)
    return rows


def _of_store(name: str, config: FeatureConfig, reads: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        home, known = Home.open(folder), facts()
        online = filled(home, config, known)
        read_ms = asyncio.run(_client_ms(home, config, known, reads))
        naive_ms = _naive_ms(online, reads)
        ours_ms, theirs_ms = _push_ms(online, known, reads // 20)
    made = [
        (f"features of a turn, one read, {name}, p50", read_ms, naive_ms, 50, None),
        (f"features of a turn, one read, {name}, p99", read_ms, naive_ms, 99, GOAL_MS),
        (
            f"features of a user pushed, {name}, p50 (baseline: Feast's push)",
            ours_ms,
            theirs_ms,
            50,
            None,
        ),
    ]
    return [
        row(
            metric if "push" in metric else f"{metric} (baseline: a read per view)",
            float(np.percentile(ours, part)),
            baseline=float(np.percentile(baseline, part)),
            goal=goal,
            unit="ms",
            seeds=1,
            command=COMMAND,
        )
        for metric, ours, baseline, part, goal in made
    ]


def facts() -> ItemFacts:
    """500 items in 20 categories and 8 styles."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, DIM)).astype(np.float32)
    return ItemFacts(
        item_ids=tuple(f"item-{n:05d}" for n in range(500)),
        categories=tuple(f"category {n % 20}" for n in range(500)),
        styles=tuple(f"style {n % 8}" for n in range(500)),
        vectors_ND=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        space="0" * 16,
    )


def filled(home: Home, config: FeatureConfig, facts: ItemFacts) -> OnlineFeatures:
    """An online store with `USERS` users who have everything."""
    store = open_store(home, config, "measured")
    store.apply(definitions(tables_folder(home, "measured")))
    online = OnlineFeatures(store)
    rng, now_ms = np.random.default_rng(1), int(time.time() * 1000)
    for user in range(USERS):
        picks, actions = rng.integers(500, size=KEPT), rng.choice(READ, KEPT)
        events = tuple(
            (now_ms - 3_600_000 * (KEPT - n), facts.item_ids[item], str(action))
            for n, (item, action) in enumerate(zip(picks, actions, strict=True))
        )
        vector = rng.normal(size=DIM).astype(np.float32).tolist()
        embedding = {"user_embedding": vector, "embedding_model": "m", "embedding_ms": now_ms}
        online.write("user_history", {f"user-{user}": history_row(facts, events)})
        online.write("user_embedding", {f"user-{user}": (now_ms, embedding)})
        online.write("session_history", {f"session-{user}": session_row(facts, events[-12:])})
    online.write("store_state", {STATE: (now_ms, {"tables": "measured", "written_ms": now_ms})})
    set_current(home, config, Generation("measured", "", facts.space, "m", now_ms))
    return online


async def _client_ms(
    home: Home, config: FeatureConfig, facts: ItemFacts, reads: int
) -> list[float]:
    engine = open_database(f"sqlite:///{home.path('run', 'assistant.db')}")
    client = FeatureClient(home, config, engine, facts, registry=CollectorRegistry())
    client.start()
    while client.outbox.opened is None:
        await asyncio.sleep(0.05)
    await keep_short(lambda: True)  # as the gateway does
    took = []
    for n in range(-100, reads):
        user = n % USERS
        began = time.perf_counter()
        found = await client.read(f"user-{user}", f"session-{user}", deadline_s=DEADLINE_S)
        took.append((time.perf_counter() - began) * 1000)
        assert not found.missing
        assert not found.late
    await client.close()
    return took[100:]


def _naive_ms(online: OnlineFeatures, reads: int) -> list[float]:
    service = online.store.get_feature_service("assistant")
    views = [
        [f"{view.name}:{feature.name}" for feature in view.features]
        for view in service.feature_view_projections
    ]
    now_ms = int(time.time() * 1000)

    def read(n: int) -> None:
        keys = {"user_id": f"user-{n % USERS}", "session_id": f"session-{n % USERS}"}
        for features in views:
            rows = [{**keys, "now_ms": now_ms}]
            online.store.get_online_features(features=features, entity_rows=rows).to_dict()

    return _timed(read, reads)


def _push_ms(
    online: OnlineFeatures, facts: ItemFacts, pushes: int
) -> tuple[list[float], list[float]]:
    events = tuple((1000 + n, facts.item_ids[n], "save") for n in range(KEPT))

    def ours(n: int) -> None:
        online.write("user_history", {f"pushed-{n}": history_row(facts, events)})

    def theirs(n: int) -> None:
        time_ms, columns = history_row(facts, events)
        stamp = pd.Timestamp(time_ms, unit="ms", tz="UTC")
        frame = pd.DataFrame([{"user_id": f"pushed-{n}", "event_timestamp": stamp, **columns}])
        online.store.push("user_history_push", frame)

    return _timed(ours, pushes), _timed(theirs, pushes)


def _timed(call: Callable[[int], None], times: int) -> list[float]:
    took = []
    for n in range(-20, times):
        began = time.perf_counter()
        call(n)
        took.append((time.perf_counter() - began) * 1000)
    return took[20:]


@contextmanager
def redis_server() -> Iterator[str]:
    """A Redis of its own on loopback; gives its host:port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    try:
        while True:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Measure and write the rows."""
    rows = measure()
    for one in rows:
        print(f"{one['metric']}: {one['value']} {one['unit']} (baseline {one['baseline']})")
    save("feature_reads", rows)


if __name__ == "__main__":
    main()
