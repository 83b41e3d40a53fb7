"""Pipelines as Kubernetes objects: what an API server in Kubernetes-native mode reads."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from tastemaker.core.errors import TastemakerError
from tastemaker.jobs.kubernetes_api import KubernetesApi, Resource
from tastemaker.jobs.submit import compile_for

KINDS = {
    "Pipeline": Resource("pipelines.kubeflow.org", "v2beta1", "pipelines"),
    "PipelineVersion": Resource("pipelines.kubeflow.org", "v2beta1", "pipelineversions"),
}


def objects(
    name: str, cluster: str, overrides: Sequence[str], namespace: str
) -> list[dict[str, Any]]:
    """Pipeline and PipelineVersion of a pipeline for a cluster preset."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"{name}.yaml"
        more = ["--namespace", namespace] if namespace else []
        compile_for(name, cluster, overrides, made, "--objects", *more)
        return list(yaml.safe_load_all(made.read_text()))


def as_yaml(documents: Sequence[dict[str, Any]]) -> str:
    """The objects as `kubectl apply` takes them."""
    return yaml.safe_dump_all(documents, sort_keys=False).rstrip("\n")


def apply(documents: Sequence[dict[str, Any]], api: KubernetesApi | None = None) -> Iterator[str]:
    """Create the objects that are missing; a version never changes, its name says its content.

    Yields:
        A line for each object.

    Raises:
        TastemakerError: A version of this name holds something else.
        ServiceError: The Kubernetes API refused or cannot be reached.
    """
    api = api or KubernetesApi.open()
    for document in documents:
        kind, meta = document["kind"], document["metadata"]
        where = meta.get("namespace") or api.namespace
        if api.create(KINDS[kind], where, document):
            yield f"{kind} {where}/{meta['name']} created"
            continue
        there = api.get(KINDS[kind], where, meta["name"])
        if kind == "PipelineVersion" and there and there["spec"] != document["spec"]:
            raise TastemakerError(
                f"{kind} {where}/{meta['name']} holds another pipeline; delete it, or raise the "
                "version"
            )
        yield f"{kind} {where}/{meta['name']} unchanged"
