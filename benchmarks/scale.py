"""Per-core and per-row figures that sizes follow from; docs/scale.md does the arithmetic.

    TASTEMAKER_HOME=... python -m benchmarks.scale     (after the chain; about five minutes)

Protocol: one thread; times are CPU seconds of this process, so a shared machine does little to
them. Encoder and user model are the home's newest. Index: unit vectors of 128 around 1,000 centres,
seed 0, 200 queries beside a centre. Redis: users with full histories of 64 events, a user embedding
of 128 and a session each, memory before and after. Tables: size on disk by number of rows.
"""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import redis
import torch
from threadpoolctl import threadpool_limits

from benchmarks import feature_reads
from benchmarks.rows import row, save
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset
from tastemaker.encoder.storage import load_encoder
from tastemaker.features.config import FeatureConfig
from tastemaker.jobs.embedding_parts import COLUMNS, embed_batch
from tastemaker.promotion.bundle import Bundle, read_bundle
from tastemaker.retrieval.index import IndexConfig, ItemIndex, Query, write_index
from tastemaker.sequence.histories import histories
from tastemaker.sequence.recommender import load_sequence

COMMAND = "python -m benchmarks.scale"
DIM, CENTRES, QUERIES, K = 128, 1000, 200, 10
EXACT_ITEMS, GRAPH_ITEMS = 20_000, 200_000
SPACE = "0" * 16
Figure = tuple[str, float, str]  # metric, value, unit


def measure(home: Home) -> Iterator[Figure]:
    """Every figure, one after the other.

    Args:
        home: With an encoder and a user model.
    """
    encoder, sequence = newest(home, "encoder"), newest(home, "sequence")
    data = load_dataset(home, encoder.card.parents["dataset"])
    yield from of_models(data, encoder, sequence)
    yield from of_tables(data)
    yield from of_index(EXACT_ITEMS)
    yield from of_index(GRAPH_ITEMS)
    if shutil.which("redis-server"):
        yield "Redis, bytes a user", redis_bytes(), "bytes"


def newest(home: Home, family: str) -> Bundle:
    """The bundle of a family that was written last.

    Raises:
        FileNotFoundError: There is none.
    """
    cards = sorted(home.path("bundles").glob("*/bundle.yaml"), key=lambda one: one.stat().st_mtime)
    found = [read_bundle(card.parent) for card in cards]
    ours = [bundle for bundle in found if bundle.card.family == family]
    if not ours:
        raise FileNotFoundError(f"no {family} in {home.path('bundles')}: run the chain first")
    return ours[-1]


def of_models(data: Dataset, encoder: Bundle, sequence: Bundle) -> Iterator[Figure]:
    """Items and users that one core embeds in a second."""
    model, items = load_encoder(encoder.path), data.read("items", COLUMNS)
    batches = items.slice(0, 512).to_batches(max_chunksize=256)
    spent = _cpu_s(lambda: [embed_batch(model, batch) for batch in batches])
    yield "encoder, items a core-second", sum(map(len, batches)) / spent, "items/s"
    recommender = load_sequence(sequence.path)
    users = histories(data.read("events"), recommender.item_ids)[:512]
    spent = _cpu_s(lambda: recommender.user_embeddings(users))
    yield "user model, users a core-second", len(users) / spent, "users/s"


def of_tables(data: Dataset) -> Iterator[Figure]:
    """Bytes of a row on disk."""
    pictures = data.read("items", ["image"])["image"]
    yield "picture of an item, bytes", pictures.nbytes / len(pictures), "bytes"
    for name, unit in (("items", "item row"), ("events", "event")):
        table = data.tables[name]
        size = _folder_bytes(Path(data.home.uri(table.uri))) / table.rows
        yield f"{unit} in its table, bytes", size, "bytes"


def of_index(num_items: int) -> Iterator[Figure]:
    """Size, memory, build and queries of an index; a graph from 20,000 items on."""
    vectors, queries = _clustered(num_items)
    items = pa.table(
        {
            "item_id": [f"item-{n:012d}" for n in range(num_items)],
            "category": ["lamp"] * num_items,
            "price": np.full(num_items, 9.0, np.float32),
        }
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = _cpu_s(lambda: write_index(items, vectors, SPACE, IndexConfig(), folder))
        before = _private_bytes()
        index = ItemIndex(folder)
        held = (_private_bytes() - before) / num_items
        found = [index.search(Query(vector=one, k=K), space=SPACE) for one in queries]
        spent = _cpu_s(
            lambda: [index.search(Query(vector=one, k=K), space=SPACE) for one in queries]
        )
        size = _folder_bytes(folder) / num_items
    exact = np.argsort(-(queries @ vectors.T), axis=1)[:, :K]
    hits = [
        len({int(hit.item_id[5:]) for hit in hits} & set(best.tolist()))
        for hits, best in zip(found, exact, strict=True)
    ]
    at = f"index of {num_items:,}"
    yield f"{at}, bytes an item on disk", size, "bytes"
    yield f"{at}, private memory an item", held, "bytes"
    yield f"{at}, build an item", 1000 * built / num_items, "ms"
    yield f"{at}, a query", 1000 * spent / len(queries), "ms"
    yield f"{at}, recall@10", sum(hits) / (K * len(queries)), "fraction"


def redis_bytes() -> float:
    """Memory that one user's features take in Redis."""
    with tempfile.TemporaryDirectory() as folder, feature_reads.redis_server() as url:
        host, port = url.split(":")
        client = redis.Redis(host, int(port))
        before = client.info("memory")["used_memory"]
        config = FeatureConfig(online="redis", redis_url=url)
        feature_reads.filled(Home.open(folder), config, feature_reads.facts())
        used: float = client.info("memory")["used_memory"] - before
    return used / feature_reads.USERS


def _clustered(num_items: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(CENTRES, DIM)).astype(np.float32)

    def near(count: int) -> np.ndarray:
        noise = rng.normal(size=(count, DIM)).astype(np.float32)
        rows = centres[rng.integers(CENTRES, size=count)] + 0.7 * noise
        unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    return near(num_items), near(QUERIES)


def _cpu_s(call: Callable[[], Any]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _folder_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _private_bytes() -> int:
    """Memory of this process that no mapped file backs."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def main() -> None:
    """Measure and write the rows."""
    rows = []
    torch.set_num_threads(1)
    threadpool_limits(1)  # matrix products too
    for metric, value, unit in measure(Home.open()):
        print(f"{metric}: {value:.4g} {unit}", flush=True)
        made = row(metric, value, baseline=None, goal=None, unit=unit, seeds=1, command=COMMAND)
        rows.append(made)
    save("scale", rows)


if __name__ == "__main__":
    main()
