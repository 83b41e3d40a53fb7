"""Run a compiled pipeline on this machine with kfp.local: the same IR that a cluster takes."""

import fcntl
import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pydantic import Field

from tastemaker.core.config import Config, load_preset, presets, to_settings
from tastemaker.core.errors import ConfigError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.core.lifetime import OWNER
from tastemaker.deployment import root
from tastemaker.jobs.pipeline_output import PipelineOutput

# step: (preset family, its configuration)
STEPS = {
    "curate": ("curate", "tastemaker.data.curation:CurateConfig"),
    "simulate_users": ("users", "tastemaker.data.simulated_users:UsersConfig"),
    "train_encoder": ("encoder", "tastemaker.encoder.config:EncoderConfig"),
    "precompute_embeddings": (
        "embeddings",
        "tastemaker.jobs.embedding_config:EmbeddingsConfig",
    ),
    "build_index": ("index", "tastemaker.retrieval.index:IndexConfig"),
    "train_sequence": ("sequence", "tastemaker.sequence.config:SequenceConfig"),
    "materialise_features": ("features", "tastemaker.features.config:FeatureConfig"),
    "make_dialogues": ("dialogues", "tastemaker.router.config:DialoguesConfig"),
    "train_router": ("router", "tastemaker.router.config:RouterConfig"),
}


class FullStackConfig(Config):
    """Which preset each step takes; a `full_stack` preset fills this in."""

    catalog: str = "demo"  # demo, fashion, ikea-home or folder:/path
    steps: dict[str, str] = Field(default_factory=dict)  # step: preset; others take `default`
    gates: str = "default"  # preset of each family's thresholds


def config_of(step: str) -> type[Config]:
    """The configuration class of a step (imports its module)."""
    module, _, name = STEPS[step][1].partition(":")
    found: type[Config] = getattr(importlib.import_module(module), name)
    return found


def default_preset(catalog: str) -> str:
    """The preset named like the catalogue where there is one, else `default`."""
    return catalog if catalog in presets("full_stack") else "default"


def resolve(
    preset: str, catalog: str | None, overrides: Sequence[str], *, here: bool = True
) -> dict[str, str]:
    """Arguments of the `full_stack` pipeline.

    Args:
        preset: A `full_stack` preset.
        catalog: Takes the place of the preset's catalogue.
        overrides: `step.key=value`, for example `train_router.steps=500`.
        here: Whether the steps read this machine's files; elsewhere only the demo catalogue's
            digest is known, and the others' is left empty: not checked.

    Returns:
        catalog, source_digest, gates and `<step>_settings` as canonical JSON.

    Raises:
        ConfigError: Unknown preset, step or key.
        DataError: The catalogue cannot be read.
    """
    from tastemaker.data.curation import CurateConfig
    from tastemaker.data.sources import source_digest

    chosen = load_preset(FullStackConfig, "full_stack", preset)
    unknown = sorted(set(chosen.steps) - set(STEPS))
    if unknown:
        raise ConfigError(f"full_stack preset {preset!r}: unknown steps {unknown}")
    by_step: dict[str, list[str]] = {step: [] for step in STEPS}
    for override in overrides:
        step, dot, rest = override.partition(".")
        if not dot or step not in STEPS:
            raise ConfigError(
                f"--set takes step.key=value, got {override!r}; the steps are: {', '.join(STEPS)}"
            )
        by_step[step].append(rest)
    configs = {
        step: load_preset(config_of(step), family, chosen.steps.get(step, "default"), by_step[step])
        for step, (family, _) in STEPS.items()
    }
    catalog = catalog or chosen.catalog
    if here and catalog.startswith("folder:"):  # steps run in other processes
        catalog = f"folder:{Path(catalog.removeprefix('folder:')).expanduser().resolve()}"
    arguments = {f"{step}_settings": to_settings(config) for step, config in configs.items()}
    curate = configs["curate"]
    assert isinstance(curate, CurateConfig)
    digest = source_digest(catalog, curate) if here or catalog == "demo" else ""
    return {"catalog": catalog, "source_digest": digest, "gates": chosen.gates, **arguments}


def run(home: Home, arguments: dict[str, str], *, pipeline: Path, use_cache: bool = True) -> None:
    """Run a compiled pipeline to its end.

    Args:
        home: Where everything lives; holds the cache and the log too.
        arguments: The pipeline's parameters.
        pipeline: A compiled YAML file.
        use_cache: False runs every step again.

    Raises:
        TastemakerError: A step failed (its own message stands above), or another run holds the
            home.
    """
    from kfp import components, local

    home.sweep()
    home.require_space()
    os.environ.update({"TASTEMAKER_HOME": home.location, OWNER: str(os.getpid())})
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a neighbour's load costs little then
    warnings.filterwarnings("ignore", message=".*custom or non-Python base image.*")
    forget_lost(home)
    task = components.load_component_from_file(str(pipeline))
    start = time.monotonic()
    log_path = home.path("run", "logs", "pipeline.log")
    with _only_one(home), log_path.open("w") as log, _shown(log) as output:
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(home.path("kfp", "runs")),
            raise_on_error=True,
            enable_caching=use_cache,
            cache_root=str(home.path("kfp", "cache")),
        )
        try:
            task(**arguments)
        except RuntimeError as error:
            what = output.failure or str(error)
            raise TastemakerError(f"the pipeline stopped: {what} (log: {log_path})") from None
    minutes = (time.monotonic() - start) / 60
    ran = ", ".join(output.steps) or "none"
    sys.stderr.write(f"pipeline finished in {minutes:.1f} min; steps run: {ran}\n")


def forget_lost(home: Home) -> None:
    """Drop cache entries whose dataset version, bundle or dialogues are no longer in the home."""
    cache = home.path("kfp", "cache", "x").parent
    cache.mkdir(parents=True, exist_ok=True)
    for entry in cache.glob("*.json"):
        try:
            digest = json.loads(entry.read_text()).get("Output", "")
        except (json.JSONDecodeError, AttributeError):
            entry.unlink()
            continue
        kept = ("datasets/%s.yaml", "bundles/%s", "dialogues/%s", "features/%s")
        if not any(home.holds(*(place % digest).split("/")) for place in kept):
            entry.unlink()


@contextmanager
def _only_one(home: Home) -> Iterator[None]:
    with home.path("run", "pipeline.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TastemakerError(
                f"another pipeline run works on {home.root}; wait for it or stop it"
            ) from None
        yield


@contextmanager
def _shown(log: TextIO) -> Iterator[PipelineOutput]:
    output = PipelineOutput(sys.stdout, log)
    before, sys.stdout = sys.stdout, output
    try:
        yield output
    finally:
        sys.stdout = before


def compiled(name: str, cluster: str = "") -> Path:
    """The compiled file of a pipeline, in the repository or the folder `TASTEMAKER_PIPELINES`.

    Args:
        name: A pipeline.
        cluster: A cluster preset; empty: the form that runs on this machine.

    Raises:
        ConfigError: No such file.
    """
    given = os.environ.get("TASTEMAKER_PIPELINES")
    folder = (Path(given) if given else root.find("pipelines/compiled")) / cluster
    path = folder / f"{name}.yaml"
    if not path.is_file():
        found = (p.stem for p in folder.glob("*.yaml") if not p.stem.endswith(".objects"))
        known = ", ".join(sorted(found)) or "none"
        raise ConfigError(
            f"no compiled pipeline {name!r} in {folder} (there: {known}); run this from the "
            "repository's root, or set TASTEMAKER_PIPELINES to the folder of compiled pipelines"
        )
    return path
