"""The schema of the values: closed, current, and messages that name the key."""

import json
import os
from typing import Any

import pytest
import yaml

from tastemaker.assistant.settings import GatewayConfig
from tastemaker.core.errors import ConfigError
from tastemaker.deployment import charts
from tests.helm.tastemaker_objects import CHART

SCHEMA = CHART / "values.schema.json"
FREE = {  # maps whose keys are the operator's
    "monitoring.labels",
    "serviceAccountAnnotations",
    "nodeSelector",
    "MemberConfig.body",
    "MemberConfig.script",
}
MODEL = "bundle: '1111111111111111'\n"


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as fault:
        charts.render(CHART, [("site.yaml", values)], name="t", namespace="t")
    return str(fault.value)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"gatway": {}}, "gatway"),
        ({"gateway": {"replcas": 2}}, "gateway.replcas"),
        ({"gateway": {"replicas": "two"}}, "gateway.replicas"),
        ({"gateway": {"autoscaling": "both"}}, "gateway.autoscaling"),
        ({"gateway": {"settings": {"assistant": {"budget": 3}}}}, "assistant.budget"),
        ({"gateway": {"settings": {"assistant": {"max_steps": 99}}}}, "assistant.max_steps"),
        ({"identity": {"auth": "open"}}, "identity.auth"),
        ({"identity": {"auth": "oidc"}}, "identity.issuer"),
        ({"identity": {"auth": "oidc", "jwksUrl": "http://x"}}, "identity.jwksUrl"),
        ({"home": "/data"}, "home"),
        ({"home": "https://bucket"}, "home"),
        ({"image": {"tag": "latest"}}, "image.tag"),
        ({"image": {"assistantDigest": "sha256:12"}}, "image.assistantDigest"),
        ({"redis": {"image": "redis"}}, "redis.image"),
        ({"mlflow": {"image": "mlflow/mlflow:latest"}}, "mlflow.image"),
        ({"redis": {"enabled": False}}, "redis.externalAddress"),
        ({"redis": {"externalAddress": "user:secret@host:1"}}, "redis.externalAddress"),
        ({"objectStore": {"preset": "ceph"}}, "objectStore.preset"),
        ({"objectStore": {"accessKey": "AKIA"}}, "objectStore.accessKey"),
        ({"externalSecrets": {"enabled": True}}, "externalSecrets.storeName"),
        ({"models": {"encoder": "bundle: latest"}}, "models.encoder"),
        ({"models": {"encoder": MODEL}}, "models.encoder"),
        ({"route": {"streamTimeout": "3 min"}}, "route.streamTimeout"),
        ({"networkPolicy": {"externalCidrs": ["example.com"]}}, "networkPolicy.externalCidrs"),
        ({"mlflow": {"resources": {"limits": {"cpu": "lots"}}}}, "mlflow.resources.limits.cpu"),
        ({"tolerations": [{"key": "a", "efect": "NoSchedule"}]}, "tolerations"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mistake_is_refused_and_named(values: dict[str, Any], named: str) -> None:
    assert named in refused(values).replace("/", ".").replace(".0.", "[0].")


def test_the_schema_is_closed_and_says_what_each_key_is() -> None:
    schema = json.loads(SCHEMA.read_text())
    open_maps, silent = set(), set()
    for path, node in _nodes(schema, ""):
        if node.get("type") == "object" and node.get("additionalProperties") is not False:
            open_maps.add(path)
        if not path.startswith("$defs") and not node.get("description"):
            silent.add(path)
    own = {path.removeprefix("$defs.") for path in open_maps}
    assert {path.removesuffix("[]") for path in own} <= FREE, own
    assert not silent


def _nodes(node: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    found = [(path, node)] if "type" in node or "properties" in node else []
    for group in ("properties", "$defs"):
        prefix = "$defs." if group == "$defs" else f"{path}." if path else ""
        for name, below in node.get(group, {}).items():
            found += _nodes(below, f"{prefix}{name}")
    if isinstance(node.get("items"), dict):
        found += _nodes(node["items"], f"{path}[]")
    return found


def test_the_schema_knows_exactly_the_defaults_keys() -> None:
    schema = json.loads(SCHEMA.read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert list(schema["properties"]) == list(values)
    for key, value in values.items():
        known = schema["properties"][key].get("properties")
        if known:
            assert list(known) == list(value), key


def test_settings_are_described_as_the_gateway_reads_them() -> None:
    """UPDATE_GOLDEN=1 writes the part of the schema that comes from GatewayConfig."""
    schema = json.loads(SCHEMA.read_text())
    settings = GatewayConfig.model_json_schema()
    parts = settings.pop("$defs")
    settings.pop("title")
    made = {"resources": schema["$defs"]["resources"], "settings": settings, **parts}
    if os.environ.get("UPDATE_GOLDEN"):
        schema["$defs"] = made
        SCHEMA.write_text(json.dumps(schema, indent=2) + "\n")
    assert schema["$defs"] == made, "write it with UPDATE_GOLDEN=1"
