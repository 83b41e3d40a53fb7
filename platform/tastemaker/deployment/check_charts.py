"""What a cluster would be given: charts with every values variant, manifests, compiled objects."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tastemaker.core.errors import ConfigError
from tastemaker.deployment import charts, security
from tastemaker.deployment.faults import Fault
from tastemaker.deployment.model_files import NAMESPACE
from tastemaker.deployment.root import find
from tastemaker.deployment.schemas import Schemas
from tastemaker.deployment.yaml_files import read_documents

# kustomize's own files are no objects of a cluster: building an environment reads them
KUSTOMIZE = "kustomize.config.k8s.io/"


def variants() -> list[tuple[Path, Path]]:
    """Every chart with each file of its `ci/`."""
    found = sorted(path.parent for path in find("helm").glob("*/Chart.yaml"))
    return [(chart, file) for chart in found for file in sorted(chart.glob("ci/*-values.yaml"))]


def chart_faults(chart: Path, file: Path, schemas: Schemas) -> Iterator[Fault]:
    """Render, lint and validate a chart with a values variant."""
    where = shown(file)
    try:
        sources = [(where, values) for _, values in charts.layers([file])]
        values = sources[0][1]
        name = str(values.get("model", chart.name))  # a release bears its model's name
        objects = charts.render(chart, sources, name=name, namespace=NAMESPACE)
    except ConfigError as error:  # lint would say the same again, without the file
        yield from of_error(error, where, f"chart {chart.name}")
        return
    for finding in charts.lint(chart, values):
        yield Fault(where, f"chart {chart.name}", "", f"helm lint: {finding}")
    yield from object_faults(objects, where, schemas)


def object_faults(
    objects: Sequence[Mapping[str, Any]], where: str, schemas: Schemas
) -> Iterator[Fault]:
    """Schema and security faults of rendered objects."""
    for document in objects:
        yield from schemas.faults(document, where=where)
        yield from security.faults(document, where=where)


def manifests() -> list[Path]:
    """Every YAML file below `manifests/` that is not a model file."""
    root = find("manifests")
    files = [*root.rglob("*.yaml"), *root.rglob("*.yml")]
    return sorted(path for path in files if path.relative_to(root).parts[0] != "models")


def manifest_faults(file: Path, patches: set[Path], schemas: Schemas) -> Iterator[Fault]:
    """Validate the Kubernetes objects in a file; values files and patch lists hold none.

    Args:
        file: The file.
        patches: Files that kustomize merges over others: they may leave out what is required.
        schemas: Of the kinds.
    """
    where = shown(file)
    try:
        documents = read_documents(file.read_text(), where=where)
    except ConfigError as error:
        yield from of_error(error, where, "")
        return
    for document in documents:
        if not isinstance(document, dict) or not {"apiVersion", "kind"} <= set(document):
            continue
        if str(document["apiVersion"]).startswith(KUSTOMIZE):
            continue
        for fault in object_faults([document], where, schemas):
            if file not in patches or "unknown field" in fault.rule:
                yield fault


def patch_files() -> set[Path]:
    """Files that a kustomization names as patches."""
    found = set()
    for file in find("manifests").rglob("kustomization.yaml"):
        for document in read_documents(file.read_text(), where=shown(file)):
            for patch in document.get("patches", []):
                if "path" in patch:
                    found.add((file.parent / patch["path"]).resolve())
    return found


def of_error(error: ConfigError, where: str, what: str) -> list[Fault]:
    """The faults that an error carries, or one with its message."""
    if isinstance(error, charts.ValuesError):
        return list(error.faults)
    return [Fault(where, what, "", str(error).removeprefix(f"{where}: "))]


def shown(path: Path) -> str:
    """A path as short as a reader can open it from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
