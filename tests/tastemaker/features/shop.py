"""A small catalogue with users, an untrained user model and its features: what the tests share."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from sqlalchemy import Engine

from tastemaker.core.database import open_database
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, write_table
from tastemaker.data.records import EVENTS
from tastemaker.features.config import FeatureConfig
from tastemaker.features.item_facts import ItemFacts
from tastemaker.jobs import materialise_features
from tastemaker.promotion.bundle import Card, write_bundle
from tastemaker.sequence.config import SequenceConfig
from tastemaker.sequence.model import SequenceModel
from tastemaker.sequence.recommender import Recommender, save_sequence

NUM_ITEMS, DIM = 40, 8
CATEGORIES, STYLES = ("lamp", "rug", "vase", "bed"), ("modern", "rustic", "boho")
BEGIN_MS = 1_790_000_000_000
NOW_MS = BEGIN_MS + 40 * 86_400_000


@dataclass
class Shop:
    home: Home
    dataset: str
    encoder: str
    sequence: str
    facts: ItemFacts
    engine: Engine
    config: FeatureConfig = field(default_factory=FeatureConfig)

    def materialise(self) -> str:
        return materialise_features.run(
            self.home, self.dataset, self.sequence, self.engine, self.config, now_ms=NOW_MS
        )


def new_shop(folder: Path | str, config: FeatureConfig | None = None, *, users: int = 12) -> Shop:
    home = Home.open(str(folder))
    rng = np.random.default_rng(0)
    card = Card(family="encoder", config={}, parents={}, writes_space=True)
    encoder = write_bundle(home, card, lambda folder: None).digest
    vectors = rng.normal(size=(NUM_ITEMS, DIM))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    facts = ItemFacts(
        item_ids=tuple(f"i{n:02d}" for n in range(NUM_ITEMS)),
        categories=tuple(CATEGORIES[n % 4] for n in range(NUM_ITEMS)),
        styles=tuple(STYLES[n % 3] if n % 5 else "" for n in range(NUM_ITEMS)),
        vectors_ND=vectors,
        space=encoder,
    )
    column = f"embedding_{encoder}"
    items = pa.table(
        {
            "item_id": facts.item_ids,
            "category": facts.categories,
            "attributes": [json.dumps({"style": style} if style else {}) for style in facts.styles],
            column: pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIM),
        }
    )
    rows = _events(rng, users)
    columns = dict(zip(EVENTS.names, zip(*rows, strict=True), strict=True)) if rows else None
    events = pa.table(columns, schema=EVENTS) if columns else EVENTS.empty_table()
    tables = {
        name: write_table(home, name, t) for name, t in (("items", items), ("events", events))
    }
    data = Dataset(home=home, name="shop", tables=tables, spaces={column: encoder})
    engine = open_database(f"sqlite:///{home.path('run', 'assistant.db')}")
    sequence = _sequence(home, facts)
    return Shop(home, data.save(), encoder, sequence, facts, engine, config or FeatureConfig())


def _events(rng: np.random.Generator, users: int) -> list[tuple]:
    """Sessions of impressions and actions; some events share a millisecond."""
    rows = []
    for user in range(users):
        now_ms = BEGIN_MS + int(rng.integers(86_400_000))
        for session in range(int(rng.integers(1, 12))):
            now_ms += int(rng.integers(3 * 86_400_000))
            for _ in range(int(rng.integers(1, 16))):
                item = f"i{int(rng.integers(NUM_ITEMS)):02d}"
                now_ms += int(rng.integers(0, 3)) * 1234
                actions = ["impression", *rng.choice(["save", "click", "closeup", "hide"], 1)]
                for action in actions if rng.random() < 0.6 else actions[:1]:
                    name = f"u{user:02d}"
                    rows.append((name, f"{name}-{session}", item, str(action), "feed", now_ms))
    return rows


def _sequence(home: Home, facts: ItemFacts) -> str:
    torch.manual_seed(0)
    config = SequenceConfig(width=16, layers=1, heads=2, user_dim=8, max_events=64, threads=1)
    recommender = Recommender(
        SequenceModel(config, DIM, NUM_ITEMS),
        facts.item_ids,
        torch.from_numpy(facts.vectors_ND),
        torch.zeros(NUM_ITEMS),
    )
    card = Card(family="sequence", config={}, parents={}, reads=(facts.space,))
    return write_bundle(home, card, lambda folder: save_sequence(recommender, folder)).digest
