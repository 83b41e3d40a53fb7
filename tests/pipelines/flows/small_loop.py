"""A home in which everything is live and nothing was trained, and what drills do with it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
from kfp import compiler

from tastemaker.core.database import open_database
from tastemaker.core.home import Home
from tastemaker.data import event_log
from tastemaker.data.dataset import Dataset, write_table
from tastemaker.data.event_log import LiveEvent
from tastemaker.data.records import BOARDS, EVENTS, ITEMS
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.promotion.history import history
from tests.pipelines.flows.cheap_pipelines import PIPELINES
from tests.pipelines.flows.cheap_steps import weights

ROOT = Path(__file__).parents[3]
NUM_ITEMS, DIM = 8, 4
PATIENCE_S = 400.0  # Prefect's server waits a minute, perhaps twice, where its SQLite is locked


def make_home(root: Path) -> Home:
    """Encoder, index, user model and router of one dataset version, live in `local`."""
    home = Home.open(str(root))
    encoder = write_bundle(
        home, Card("encoder", {"dim": DIM}, {}, writes_space=True), lambda f: weights(f, "encoder")
    ).digest
    dataset = _dataset(home, encoder)
    parents = {"dataset": dataset, "encoder": encoder}
    live = {"encoder": encoder}
    for model, family in (("retrieval", "index"), ("recommender", "sequence"), ("router",) * 2):
        card = Card(family, {}, parents, reads=(encoder,))
        live[model] = write_bundle(home, card, lambda f, family=family: weights(f, family)).digest
    for model, bundle in live.items():
        text = f'bundle: "{bundle}"\ndataset: "{dataset}"\nspace: "{encoder}"\n'
        home.write_text(text, "manifests", "models", "local", f"{model}.yaml")
    return home


def compile_cheap(folder: Path) -> Path:
    """The cheap pipelines, as `TASTEMAKER_PIPELINES` takes them."""
    for name, pipeline in PIPELINES.items():
        compiler.Compiler().compile(pipeline, str(folder / f"{name}.yaml"))
    return folder


def add_events(home: Home, number: int, *, item: int = 0) -> None:
    """So many saves at the assistant."""
    now = int(time.time() * 1000) - number
    items = [f"item-{(item + n) % NUM_ITEMS}" for n in range(number)]
    events = [
        LiveEvent(f"user-{n}", f"s-{n}", shown, "save", "assistant", now + n)
        for n, shown in enumerate(items)
    ]
    event_log.append(open_database(home.database()), events)


def variables(home: Home, pipelines: Path) -> dict[str, str]:
    """Environment of a process that runs flows on this home."""
    return {
        **os.environ,
        "TASTEMAKER_HOME": home.location,
        "TASTEMAKER_PIPELINES": str(pipelines),
        "PYTHONPATH": str(ROOT),
        "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false",
    }


def run_flow(name: str, environment: Mapping[str, str], *words: str) -> subprocess.Popen[str]:
    """A process that runs a flow without a server."""
    command = [sys.executable, "-m", "pipelines.flows.run", name, "preset=tiny", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, env=dict(environment), cwd=ROOT, text=True, **pipes)


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Fails after a time that no machine needs."""
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until, f"never: {what}"
        time.sleep(0.05)


def calls(home: Home) -> list[str]:
    """Steps that ran, in order."""
    file = home.root / "calls.txt"
    return file.read_text().split() if file.exists() else []


def num_promotions(home: Home) -> int:
    """Commits that brought a bundle or a canary into the user model's file."""
    return sum(bool(step.before) for step in history(home, "local", "recommender"))


def _dataset(home: Home, encoder: str) -> str:
    numbers = range(NUM_ITEMS)
    columns = {
        "item_id": [f"item-{n}" for n in numbers],
        "image": [b""] * NUM_ITEMS,
        "title": [f"Item {n}" for n in numbers],
        "text": [""] * NUM_ITEMS,
        "category": [("lamp", "vase")[n % 2] for n in numbers],
        "attributes": ["{}"] * NUM_ITEMS,
        "price": [float(n) for n in numbers],
        "split": ["train"] * NUM_ITEMS,
        "image_hash": ["0" * 16] * NUM_ITEMS,
    }
    rows = [[float(n % DIM == d) for d in range(DIM)] for n in numbers]
    vectors = pa.array(rows, pa.list_(pa.float32(), DIM))
    column = f"embedding_{encoder}"
    items = pa.table(columns, schema=ITEMS).append_column(column, vectors)
    events = [
        {
            "user_id": f"user-{n % 5}",
            "session_id": f"old-{n % 9}",
            "item_id": f"item-{n % NUM_ITEMS}",
            "action": "save",
            "surface": "feed",
            "time": 1_700_000_000_000 + n * 60_000,
        }
        for n in range(60)
    ]
    tables = {
        "items": write_table(home, "items", items),
        "boards": write_table(home, "boards", BOARDS.empty_table()),
        "events": write_table(home, "events", pa.Table.from_pylist(events, schema=EVENTS)),
    }
    return Dataset(home, "demo", tables, spaces={column: encoder}).save()
