"""Objects against the real schemas of their kinds."""

import json
from pathlib import Path
from typing import Any

import pytest

from tastemaker.deployment.schemas import Schemas

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "lamps.shop.example.com"},
    "spec": {
        "group": "shop.example.com",
        "names": {"kind": "Lamp", "plural": "lamps"},
        "scope": "Namespaced",
        "versions": [
            {
                "name": name,
                "served": name != "v1alpha1",
                "storage": name == "v1",
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "required": ["spec"],
                        "properties": {
                            "spec": {
                                "type": "object",
                                "required": ["watts"],
                                "properties": {
                                    "watts": {"type": "integer"},
                                    "colour": {"type": "string"},
                                },
                            }
                        },
                    }
                },
            }
            for name in ("v1alpha1", "v1")
        ],
    },
}


@pytest.fixture
def lamps(tmp_path: Path) -> Schemas:
    (tmp_path / "lamps").mkdir()
    (tmp_path / "lamps" / "lamp.yaml").write_text(json.dumps(CRD))
    return Schemas([tmp_path])


def lamp(spec: dict[str, Any], version: str = "v1") -> dict[str, Any]:
    return {
        "apiVersion": f"shop.example.com/{version}",
        "kind": "Lamp",
        "metadata": {"name": "desk"},
        "spec": spec,
    }


def said(schemas: Schemas, document: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in schemas.faults(document, where="f.yaml")]


def test_a_custom_kind_by_its_own_schema(lamps: Schemas) -> None:
    assert said(lamps, lamp({"watts": 5})) == []
    assert set(said(lamps, lamp({"watt": "5"}))) == {
        "f.yaml: Lamp/desk: spec.watt: unknown field; did you mean 'watts'?",
        "f.yaml: Lamp/desk: spec.watts: missing, required",
    }
    assert said(lamps, lamp({"watts": "5"})) == [
        "f.yaml: Lamp/desk: spec.watts: '5' is not of type 'integer'"
    ]


def test_a_version_that_is_not_served_has_no_schema(lamps: Schemas) -> None:
    (fault,) = said(lamps, lamp({"watts": 5}, version="v1alpha1"))
    assert "no schema of Lamp in shop.example.com/v1alpha1" in fault


def test_a_kind_without_a_schema_is_a_fault_that_says_where_it_was_looked_for(
    tmp_path: Path,
) -> None:
    (fault,) = said(Schemas([tmp_path]), lamp({"watts": 5}))
    assert fault.startswith(
        "f.yaml: Lamp/desk: apiVersion: no schema of Lamp in shop.example.com/v1"
    )
    assert str(tmp_path) in fault
    assert "tastemaker check --fetch-schemas" in fault
    (other,) = said(Schemas([]), lamp({"watts": 5}))
    assert "no folder of CRDs" in other


def test_a_group_that_only_sounds_like_a_built_in_one_is_not_taken_for_it() -> None:
    policy = {"apiVersion": "networking.example.com/v1", "kind": "NetworkPolicy", "spec": {}}
    assert "no schema of NetworkPolicy" in said(Schemas([]), policy)[0]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"replicas": "2"}, "spec.replicas: '2' is not of type 'integer'"),
        ({"replica": 2}, "spec.replica: unknown field; did you mean 'replicas'?"),
        ({"selector": {"matchLabel": {}}}, "spec.selector.matchLabel: unknown field"),
    ],
)
def test_built_in_kinds_need_no_crd(change: dict[str, Any], fault: str) -> None:
    labels = {"a": "b"}
    spec = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}]},
        },
    }
    document = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}}
    assert said(Schemas([]), {**document, "spec": spec}) == []
    assert any(fault in one for one in said(Schemas([]), {**document, "spec": {**spec, **change}}))


def test_what_is_not_an_object(lamps: Schemas) -> None:
    assert "apiVersion and kind must be text" in said(lamps, {"kind": "Lamp"})[0]


def test_the_real_inference_service(schemas: Schemas) -> None:
    predictor = {
        "minReplicas": "one",
        "storageURI": "s3://b",
        "containers": [{"image": "a", "env": [{"name": "A", "valeu": "b"}]}],
    }
    document = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "encoder"},
        "spec": {"predictor": predictor},
    }
    what = "f.yaml: InferenceService/encoder: spec.predictor"
    assert set(said(schemas, document)) == {
        f"{what}.minReplicas: 'one' is not of type 'integer'",
        f"{what}.storageURI: unknown field; did you mean 'storageUris'?",
        f"{what}.containers[0].name: missing, required",
        f"{what}.containers[0].env[0].valeu: unknown field; did you mean 'value'?",
    }


def test_defaults_come_before_required_fields(schemas: Schemas) -> None:
    """KubeRay requires maxReplicas of a worker group, and gives it a default."""
    pod = {"spec": {"containers": [{"name": "ray", "image": "ray:1"}]}}
    group = {"groupName": "w", "rayStartParams": {}, "template": pod}
    document = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": "c"},
        "spec": {"headGroupSpec": {"template": pod}, "workerGroupSpecs": [group]},
    }
    assert said(schemas, document) == []
