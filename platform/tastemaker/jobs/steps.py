"""The steps of the chain with plain text in and out: what components and the CLI call.

Each takes digests and resolved settings as JSON (empty: the family's `default` preset), runs
one job on the home named by `TASTEMAKER_HOME`, and returns the digest of what it made. What a
user can mend ends the process with one line, `error: ...`, and exit code 2.
"""

import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

from tastemaker.core.config import from_settings
from tastemaker.core.errors import ConfigError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.core.lifetime import end_with_owner
from tastemaker.jobs import step_records

P = ParamSpec("P")


def step(work: Callable[P, str]) -> Callable[P, str]:
    """A job as a step: ends with its owner, leaves nothing half-written, one line on a fault."""

    @wraps(work)
    def run(*args: P.args, **kwargs: P.kwargs) -> str:
        end_with_owner()
        home = Home.open()
        home.sweep()
        start, used_s = time.monotonic(), step_records.cpu_s()
        try:
            home.require_space()
            digest = work(*args, **kwargs)
        except TastemakerError as error:
            sys.stderr.write(f"error: {error}\n")
            raise SystemExit(2) from None
        seconds, used_s = time.monotonic() - start, step_records.cpu_s() - used_s
        call = (args, kwargs)
        step_records.record_call(home, work, call, digest, seconds=seconds, cpu_seconds=used_s)
        sys.stderr.write(f"{work.__name__}: {digest} in {seconds:.0f} s\n")
        return digest

    return run


@step
def curate(catalog: str, source_digest: str, settings: str = "") -> str:
    """Source to dataset version; `source_digest` is what the pipeline's cache sees of the source.

    Raises:
        DataError: The source has changed since its digest was taken.
    """
    import tastemaker.jobs.curate as job
    from tastemaker.core.errors import DataError
    from tastemaker.data.curation import CurateConfig
    from tastemaker.data.sources import source_digest as digest_of

    config = from_settings(CurateConfig, settings, family="curate")
    found = digest_of(catalog, config)
    if source_digest and found != source_digest:
        raise DataError(
            f"catalogue {catalog!r} has changed since this run began "
            f"(digest {found}, expected {source_digest}); run it again"
        )
    return job.run(Home.open(), catalog, config)


@step
def simulate_users(dataset: str, settings: str = "") -> str:
    """Dataset version to one with events."""
    import tastemaker.jobs.simulate_users as job
    from tastemaker.data.simulated_users import UsersConfig

    config = from_settings(UsersConfig, settings, family="users")
    return job.run(Home.open(), dataset, config)


@step
def train_encoder(dataset: str, settings: str = "") -> str:
    """Dataset version to encoder bundle."""
    import tastemaker.jobs.train_encoder as job
    from tastemaker.encoder.config import EncoderConfig

    config = from_settings(EncoderConfig, settings, family="encoder")
    return job.run(Home.open(), dataset, config)


@step
def precompute_embeddings(dataset: str, encoder: str, settings: str = "") -> str:
    """Dataset version to one with a vector column in the encoder's space."""
    import tastemaker.jobs.precompute_embeddings as job
    from tastemaker.jobs.embedding_config import EmbeddingsConfig

    config = from_settings(EmbeddingsConfig, settings, family="embeddings")
    return job.run(Home.open(), dataset, encoder, config)


@step
def build_index(dataset: str, encoder: str, settings: str = "") -> str:
    """Embedded dataset version to index bundle."""
    import tastemaker.jobs.build_index as job
    from tastemaker.retrieval.index import IndexConfig

    config = from_settings(IndexConfig, settings, family="index")
    return job.run(Home.open(), dataset, encoder, config)


@step
def train_sequence(dataset: str, encoder: str, settings: str = "") -> str:
    """Embedded dataset version with events to sequence bundle."""
    import tastemaker.jobs.train_sequence as job
    from tastemaker.sequence.config import SequenceConfig

    config = from_settings(SequenceConfig, settings, family="sequence")
    return job.run(Home.open(), dataset, encoder, config)


@step
def materialise_features(dataset: str, sequence: str, settings: str = "") -> str:
    """Events and user model to features that are live in the online store."""
    import tastemaker.jobs.materialise_features as job
    from tastemaker.core.database import open_database
    from tastemaker.features.config import FeatureConfig

    config, home = from_settings(FeatureConfig, settings, family="features"), Home.open()
    return job.run(home, dataset, sequence, open_database(home.database()), config)


@step
def collect_events(dataset: str) -> str:
    """What happened at the assistant, added to a dataset version; forgotten users leave it."""
    import tastemaker.jobs.collect_events as job
    from tastemaker.core.database import open_database

    home = Home.open()
    return job.run(home, dataset, open_database(home.database()))


@step
def make_training_set(kind: str, settings: str = "") -> str:
    """Point-in-time training set of kind `next_item` or `ranker`, from the live features."""
    import tastemaker.jobs.make_training_set as job
    from tastemaker.core.database import open_database
    from tastemaker.features.config import FeatureConfig

    if kind not in ("next_item", "ranker"):
        raise ConfigError(f"kind={kind!r}: the kinds are next_item and ranker")
    config, home = from_settings(FeatureConfig, settings, family="features"), Home.open()
    chosen: job.Kind = "next_item" if kind == "next_item" else "ranker"
    return job.run(home, chosen, open_database(home.database()), config)


@step
def make_dialogues(dataset: str, encoder: str, sequence: str, settings: str = "") -> str:
    """Catalogue, boards and users to the router's dialogues."""
    import tastemaker.jobs.make_dialogues as job
    from tastemaker.router.config import DialoguesConfig

    config = from_settings(DialoguesConfig, settings, family="dialogues")
    return job.run(Home.open(), dataset, encoder, sequence, config)


@step
def train_router(dialogues: str, settings: str = "") -> str:
    """Dialogues to router bundle."""
    import tastemaker.jobs.train_router as job
    from tastemaker.router.config import RouterConfig

    config = from_settings(RouterConfig, settings, family="router")
    return job.run(Home.open(), dialogues, config)


@step
def evaluate_encoder(dataset: str, encoder: str) -> str:
    """Evaluate and register an encoder; returns its digest, now with a report."""
    import tastemaker.jobs.evaluate_encoder as job

    job.run(Home.open(), dataset, encoder)
    return encoder


@step
def evaluate_sequence(dataset: str, sequence: str) -> str:
    """Evaluate and register a sequence model; returns its digest, now with a report."""
    import tastemaker.jobs.evaluate_sequence as job

    job.run(Home.open(), dataset, sequence)
    return sequence


@step
def evaluate_router(dialogues: str, router: str) -> str:
    """Evaluate and register a router; returns its digest, now with a report."""
    import tastemaker.jobs.evaluate_router as job

    job.run(Home.open(), dialogues, router)
    return router


@step
def gate(
    model: str,
    bundle: str,
    dataset: str,
    environment: str = "local",
    preset: str = "default",
    encoder: str = "",
    index: str = "",
    sequence: str = "",
    router: str = "",
    run_name: str = "",
) -> str:
    """Judge a bundle, beside those that are promoted with it; returns its signed evidence."""
    import tastemaker.jobs.gate as job
    from tastemaker.evaluation.gate_config import load_gates
    from tastemaker.promotion import checkout
    from tastemaker.promotion.model_file import FAMILIES

    home = Home.open()
    checkout.update(home)  # it is compared with what is live now
    if model not in FAMILIES:
        raise ConfigError(f"model={model!r}: one of {', '.join(FAMILIES)}")
    beside = {"encoder": encoder, "retrieval": index, "recommender": sequence, "router": router}
    config = load_gates(FAMILIES[model], preset)
    return job.run(
        home, model, bundle, dataset, environment, config=config, beside=beside, run_name=run_name
    )


@step
def promote(
    dataset: str,
    encoder: str,
    index: str,
    sequence: str,
    features: str,
    router: str,
    evidence: Sequence[str],
    environment: str = "local",
    features_settings: str = "",
    run_name: str = "",
) -> str:
    """Make judged bundles live in an environment by one commit; `features` are live too."""
    import tastemaker.jobs.promote as job

    home = Home.open()
    digest = job.run(
        home, dataset, encoder, index, sequence, router, evidence, environment, run_name
    )
    if not _features_are_live(home, features):
        materialise_features(dataset, sequence, features_settings)
    return digest


def _features_are_live(home: Home, features: str) -> bool:
    """False where another run has filled the online store since."""
    from tastemaker.core.errors import NotFound
    from tastemaker.features.config import current

    try:
        return current(home).tables == features
    except NotFound:
        return False
