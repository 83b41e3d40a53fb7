"""Renders of the chart tastemaker, and what its objects select and name."""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tastemaker.deployment import charts

CHART = Path(__file__).parents[2] / "helm" / "tastemaker"
VARIANTS = sorted((CHART / "ci").glob("*-values.yaml"))
Objects = list[dict[str, Any]]
EVERY = pytest.mark.parametrize("file", VARIANTS, ids=lambda path: path.stem)
Node = Mapping[str, Any]


@functools.cache
def render(file: Path) -> Objects:
    """A variant's objects; nobody changes them."""
    return charts.render(CHART, charts.layers([file]), name="tastemaker", namespace="assistant")


def variant(name: str) -> Objects:
    """A variant's objects, by its short name."""
    return render(CHART / "ci" / f"{name}-values.yaml")


def of_kind(objects: Objects, *kinds: str) -> Objects:
    return [one for one in objects if one["kind"] in kinds]


def names(objects: Objects, kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in of_kind(objects, kind)}


def pods(objects: Objects) -> Iterator[tuple[str, dict[str, str], Node]]:
    """Name, labels and specification of each pod, those of Prefect's Jobs included."""
    for one in of_kind(objects, "Deployment", "StatefulSet", "Job"):
        template = one["spec"]["template"]
        yield one["metadata"]["name"], template["metadata"]["labels"], template["spec"]
    for one in of_kind(objects, "Pod"):
        yield one["metadata"]["name"], one["metadata"]["labels"], one["spec"]
    for one in of_kind(objects, "ConfigMap"):
        if text := one["data"].get("base-job-template.json"):
            job = yaml.safe_load(text)["job_configuration"]["job_manifest"]
            template = job["spec"]["template"]
            yield "a flow run", template["metadata"]["labels"], template["spec"]


def selected(selector: Node, labels: Mapping[str, str]) -> bool:
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for rule in selector.get("matchExpressions", []):
        assert rule["operator"] == "In"
        if labels.get(rule["key"]) not in rule["values"]:
            return False
    return True
