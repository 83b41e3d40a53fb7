"""The releases that Argo CD makes of our charts: valid, and within their project."""

from typing import Any

import pytest

from tastemaker.deployment import charts
from tastemaker.deployment.schemas import Schemas
from tests.manifests.builds import (
    ENVIRONMENTS,
    ROOT,
    cluster,
    configs,
    expand,
    needs_kubectl,
    of_kind,
)

pytestmark = needs_kubectl
environments = pytest.mark.parametrize("environment", ENVIRONMENTS)


def releases(environment: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Namespace and objects of each release of our charts."""
    every = cluster(environment)
    platform = of_kind(every, "Application")["tastemaker"]
    models = expand(of_kind(every, "ApplicationSet")["models"])
    return [_rendered(one) for one in [platform, *models]]


def _rendered(application: dict[str, Any]) -> tuple[str, list[dict[str, Any]]]:
    source = application["spec"]["source"]
    namespace = application["spec"]["destination"]["namespace"]
    helm = source["helm"]
    assert helm["skipTests"]
    values: list[Any] = charts.layers([ROOT / file[1:] for file in helm["valueFiles"]])
    for one in helm.get("fileParameters", []):
        outer, _, inner = one["name"].partition(".")
        values.append({outer: {inner: (ROOT / one["path"][1:]).read_text()}})
    name = helm["releaseName"]
    objects = charts.render(ROOT / source["path"], values, name=name, namespace=namespace)
    return namespace, [one for one in objects if not _is_helm_test(one)]


def _is_helm_test(one: dict[str, Any]) -> bool:
    """Left out by `skipTests`."""
    return one["metadata"].get("annotations", {}).get("helm.sh/hook") == "test"


@environments
def test_every_release_renders_valid_objects_in_its_namespace(
    environment: str, schemas: Schemas
) -> None:
    for namespace, objects in releases(environment):
        assert objects
        for one in objects:
            faults = schemas.faults(one, where=environment)
            assert not faults, "\n".join(map(str, faults))
            assert one["metadata"].get("namespace", namespace) == namespace


@environments
def test_every_kind_is_allowed_by_the_project(environment: str) -> None:
    spec = of_kind(cluster(environment), "AppProject")["tastemaker"]["spec"]
    allowed = {(one["group"], one["kind"]) for one in spec["namespaceResourceWhitelist"]}
    for _, objects in releases(environment):
        for one in objects:
            group = one["apiVersion"].rpartition("/")[0]
            assert (group, one["kind"]) in allowed or (group, "*") in allowed, one["kind"]


@environments
def test_secrets_that_models_name_are_made(environment: str) -> None:
    made = {
        one["metadata"]["name"]
        for one in configs(environment)
        if one["kind"] == "ExternalSecret" and one["metadata"]["namespace"] == "tastemaker-models"
    }
    for namespace, objects in releases(environment):
        if namespace == "tastemaker-models":
            for one in objects:
                if one["kind"] == "ServiceAccount":
                    assert {entry["name"] for entry in one.get("secrets", [])} <= made
