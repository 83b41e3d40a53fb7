"""What is code or compiled from it: pipelines, Feast definitions, presets."""

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from tastemaker.core.config import PRESETS, Config, load_preset
from tastemaker.core.errors import ConfigError
from tastemaker.deployment.check_charts import object_faults, shown
from tastemaker.deployment.faults import Fault
from tastemaker.deployment.root import find
from tastemaker.deployment.schemas import Schemas
from tastemaker.deployment.security import unpinned
from tastemaker.deployment.yaml_files import read_documents


def pipelines() -> list[Path]:
    """Everything compiled."""
    return sorted(find("pipelines/compiled").rglob("*.yaml"))


def pipeline_faults(file: Path, schemas: Schemas) -> Iterator[Fault]:
    """Load a compiled pipeline as kfp does; validate the objects of a Kubernetes-native one."""
    from kfp import components  # seconds; the control image alone has it

    where = shown(file)
    try:
        documents = read_documents(file.read_text(), where=where)
        objects = [one for one in documents if "apiVersion" in one]
        specs = [one["spec"]["pipelineSpec"] for one in objects if "pipelineSpec" in one["spec"]]
        if not objects:
            components.load_component_from_text(file.read_text())
            specs = documents[:1]
    except Exception as error:  # kfp raises whatever its parsers do
        yield Fault(where, "pipeline", "", f"kfp cannot load it: {error}")
        return
    yield from object_faults(objects, where, schemas)
    for spec in specs:
        yield from _images(spec, where)


def _images(spec: Mapping[str, Any], where: str) -> Iterator[Fault]:
    executors = spec.get("deploymentSpec", {}).get("executors", {})
    for name, executor in executors.items():
        container = executor.get("container")
        if container and (rule := unpinned(container.get("image"))):
            field = f"deploymentSpec.executors.{name}.container.image"
            yield Fault(where, f"pipeline {spec['pipelineInfo']['name']}", field, rule)


def feature_faults() -> Iterator[Fault]:
    """Build the Feast definitions and apply them to an empty registry of their own."""
    where = "platform/tastemaker/features/definitions.py"
    try:
        from feast import FeatureStore, RepoConfig

        from tastemaker.features.definitions import definitions

        with TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # on-demand views are experimental
            config = RepoConfig(
                project="check",
                provider="local",
                registry=str(Path(folder, "registry.db")),
                online_store={"type": "sqlite", "path": str(Path(folder, "online.db"))},
                offline_store={"type": "duckdb"},
                entity_key_serialization_version=3,
            )
            FeatureStore(config=config).apply(definitions(Path(folder)))
    except Exception as error:  # Feast's errors have no common class
        yield Fault(where, "Feast definitions", "", str(error))
        return


def preset_faults(configs: Mapping[str, type[Config]]) -> Iterator[Fault]:
    """Load every preset of every family.

    Args:
        configs: The configuration class that reads each family's presets.
    """
    for file in sorted(PRESETS.rglob("*.yaml")):
        family = file.parent.relative_to(PRESETS).as_posix()
        if family not in configs:
            yield Fault(shown(file), f"preset {family}/{file.stem}", "", "nothing reads its family")
            continue
        try:
            load_preset(configs[family], family, file.stem)
        except (ConfigError, yaml.YAMLError) as error:
            yield Fault(shown(file), f"preset {family}/{file.stem}", "", str(error))
