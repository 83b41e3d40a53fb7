"""What the cheap pipelines of the drills do: real artifacts of no training, in moments.

Each step notes that it ran in `<home>/calls.txt`; where `<home>/hold-<step>` exists it waits, so
that a drill can kill what runs in the middle of it.
"""

import os
import time
from pathlib import Path

from tastemaker.core import digests
from tastemaker.core.database import open_database
from tastemaker.core.home import Home
from tastemaker.core.lifetime import end_with_owner
from tastemaker.jobs import collect_events, pipeline_run
from tastemaker.promotion import evidence as evidence_files
from tastemaker.promotion.bundle import Card, load_bundle, write_bundle
from tastemaker.promotion.environment import get_live
from tastemaker.promotion.evidence import Evidence, Gate
from tastemaker.promotion.signing import private_key


def begin(step: str) -> Home:
    end_with_owner(every_s=0.1)
    home = Home.open()
    with (home.root / "calls.txt").open("a") as calls:
        calls.write(f"{step}\n")
    if (home.root / f"hold-{step}").exists():
        (home.root / f"held-{step}").write_text(str(os.getpid()))
        while (home.root / f"hold-{step}").exists():
            time.sleep(0.02)
    return home


def ingest(key: str, events_of: str) -> str:
    home = begin("ingest")
    made = collect_events.run(home, events_of, open_database(home.database()))
    pipeline_run.keep(home, key, {"dataset": made})
    return key


def train(key: str, dataset: str, encoder: str) -> str:
    home = begin("train")
    parents = {"dataset": dataset, "encoder": encoder}
    card = Card(family="sequence", config={}, parents=parents, reads=(encoder,))
    made = write_bundle(home, card, lambda folder: weights(folder, dataset))
    pipeline_run.keep(home, key, {"dataset": dataset, "sequence": made.digest})
    return key


def judge(key: str, dataset: str, environment: str, sequence: str) -> str:
    home = begin("gate")
    bundle = load_bundle(home, sequence)
    found = Evidence(
        model="recommender",
        family="sequence",
        bundle=sequence,
        environment=environment,
        dataset=dataset,
        space=bundle.card.reads[0],
        baseline=get_live(home, environment, "recommender").bundle,
        gates=(Gate(name="floor:x", rule="x is at least 1", value=2.0, bound=1.0, passed=True),),
        passed=True,
        code_version="drill",
        created=evidence_files.utc_now(),
    )
    kept = evidence_files.keep(home, evidence_files.sign(found, private_key(home)))
    pipeline_run.keep(home, key, {"evidence.recommender": kept})
    return key


def weights(folder: Path, seed: str) -> None:
    (folder / "weights.txt").write_text(digests.of_json([seed]))
