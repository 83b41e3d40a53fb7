"""Job: a dataset version, the log of live events and a user model to features that are live.

The offline tables are named by their content and written aside; the online store is filled in
parts, and a job that was killed goes on where it stopped; one small file makes the result live.
"""

import json
import time
from collections.abc import Sequence

import numpy as np
from sqlalchemy import Engine

from tastemaker.core import digests
from tastemaker.core.home import Home
from tastemaker.core.progress import Progress
from tastemaker.data import event_log
from tastemaker.data.all_events import all_events
from tastemaker.data.dataset import load_dataset
from tastemaker.features import config as places
from tastemaker.features import tables
from tastemaker.features.config import FeatureConfig, Generation
from tastemaker.features.fill import VIEWS, fill
from tastemaker.features.item_facts import ItemFacts, read_item_facts
from tastemaker.features.online import OnlineFeatures
from tastemaker.features.registry import make_registry, register
from tastemaker.features.signals import Happened
from tastemaker.promotion.bundle import load_bundle
from tastemaker.sequence.histories import from_events
from tastemaker.sequence.recommender import Recommender, load_sequence


def run(
    home: Home,
    dataset: str,
    sequence: str,
    engine: Engine,
    settings: FeatureConfig,
    *,
    now_ms: int | None = None,
) -> str:
    """Write the offline tables, fill the online store, make both live.

    Args:
        home: Where everything lives.
        dataset: A dataset version with vectors of the space that the user model reads.
        sequence: Sequence bundle: gives the user embeddings.
        engine: Database with the log of live events.
        settings: Which online store.
        now_ms: The present; default: now.

    Returns:
        Digest of the offline tables.

    Raises:
        NotFound: No such dataset version or bundle, or no vectors of its space.
        ConfigError: The home is on S3 and the online store in a file.
    """
    home.require_space()
    places.require_shared(home, settings)
    now_ms = int(time.time() * 1000) if now_ms is None else now_ms
    data = load_dataset(home, dataset)
    bundle = load_bundle(home, sequence, family="sequence")
    (encoder,) = bundle.card.reads
    facts = read_item_facts(data, encoder)
    recommender = load_sequence(bundle.path)
    first_new = event_log.next_id(engine)
    with home.staging() as staging:
        staged = staging / "tables"
        staged.mkdir()
        events = all_events(data, engine)
        embed = _embedder(recommender)
        tables.write_tables(staged, events, facts, embed=embed, model=sequence, now_ms=now_ms)
        digest = digests.of_folder(staged)
        home.publish(staged, "features", digest)
    make_registry(home, settings, digest)
    online = OnlineFeatures(places.open_store(home, settings.by_file(), digest))
    _fill(home, online, engine, facts, digest, settings)
    if settings.registry != "file":
        register(places.open_store(home, settings, digest), places.tables_folder(home, digest))
    generation = Generation(digest, dataset, encoder, sequence, now_ms)
    places.set_current(home, settings, generation)
    event_log.mark_pending_from(engine, first_new)  # this job may have overtaken their push
    _remove_others(home, digest)
    return digest


def _embedder(recommender: Recommender) -> tables.Embed:
    def embed(states: Sequence[Sequence[Happened]]) -> np.ndarray:
        known = recommender.row_of
        lists = [
            [{"item_id": item, "action": action} for _, item, action in state if item in known]
            for state in states
        ]
        return recommender.user_embeddings([from_events("", events, known) for events in lists])

    return embed


def _fill(
    home: Home,
    online: OnlineFeatures,
    engine: Engine,
    facts: ItemFacts,
    digest: str,
    settings: FeatureConfig,
) -> None:
    folder = places.tables_folder(home, digest)
    checkpoint = ("checkpoints", f"materialise_features-{digest}.json")
    done = json.loads(home.read_text(*checkpoint) or "{}")
    totals = {view: tables.num_keys(folder, view) for view in VIEWS}
    bars = {view: Progress(f"fill {view}", totals[view], done=done.get(view, 0)) for view in VIEWS}
    reached = dict(done)

    def progress(view: str, rows: int) -> None:
        reached[view] = max(rows, reached.get(view, 0))
        home.write_text(json.dumps(reached), *checkpoint)
        bars[view].update(rows)

    fill(
        online,
        folder,
        engine,
        facts,
        tables_digest=digest,
        session_hours=settings.session_hours,
        done=done,
        progress=progress,
    )
    home.remove(*checkpoint)


def _remove_others(home: Home, digest: str) -> None:
    """Remove older generations: they hold users who have asked to be forgotten since."""
    for name in home.names("features"):
        stem, _, suffix = name.rpartition(".") if "." in name else (name, "", "")
        if suffix in ("", "db") and stem not in (digest, "online"):
            home.remove("features", name)
