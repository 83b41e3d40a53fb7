"""Namespaces and configs of each environment: valid, declared, without a secret."""

import pytest
import yaml

from tastemaker.deployment.schemas import Schemas
from tests.manifests.builds import (
    ENVIRONMENTS,
    ROOT,
    Object,
    build,
    cluster,
    configs,
    needs_kubectl,
    of_kind,
)

NAMESPACES = "manifests/infrastructure/controllers/namespaces"
LEVELS = {"restricted", "baseline", "privileged"}
environments = pytest.mark.parametrize("environment", ENVIRONMENTS)


def declared() -> set[str]:
    return {one["metadata"]["name"] for one in build(NAMESPACES)}


@needs_kubectl
@environments
def test_every_object_is_strictly_valid(environment: str, schemas: Schemas) -> None:
    for one in [*cluster(environment), *configs(environment), *build(NAMESPACES)]:
        faults = schemas.faults(one, where=environment)
        assert not faults, "\n".join(map(str, faults))


@needs_kubectl
@environments
def test_an_unknown_field_of_an_application_would_be_seen(
    environment: str, schemas: Schemas
) -> None:
    one = next(one for one in cluster(environment) if one["kind"] == "Application")
    spoilt: Object = {**one, "spec": {**one["spec"], "syncPolcy": {}}}
    assert any("syncPolcy" in str(fault) for fault in schemas.faults(spoilt, where="x"))


@needs_kubectl
@environments
def test_every_namespace_that_is_used_is_declared(environment: str) -> None:
    used = {one["metadata"].get("namespace") for one in configs(environment)} - {None}
    assert used <= declared()


@needs_kubectl
def test_namespaces_name_their_security_level_and_stay_when_argo_cd_goes() -> None:
    for one in build(NAMESPACES):
        labels = one["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] in LEVELS
        assert "Delete=false" in one["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]


def test_a_level_below_restricted_has_a_reason() -> None:
    for path in (ROOT / NAMESPACES).glob("*.yaml"):
        text = path.read_text()
        if "enforce: " in text and "enforce: restricted" not in text:
            level = text.split("enforce: ")[1].split()[0].capitalize()
            assert text.startswith(f"# {level}: "), path


@needs_kubectl
@environments
def test_no_secret_lies_in_git(environment: str) -> None:
    kinds = {one["kind"] for one in [*cluster(environment), *configs(environment)]}
    assert "Secret" not in kinds
    for path in (ROOT / "manifests").rglob("*.yaml"):
        lines = path.read_text().splitlines()
        assert "kind: Secret" not in lines, path
        assert "BEGIN PRIVATE KEY" not in path.read_text(), path


@needs_kubectl
@environments
def test_external_secrets_read_the_one_store(environment: str) -> None:
    every = configs(environment)
    stores = [one for one in every if one["kind"] == "ClusterSecretStore"]
    allowed = set(stores[0]["spec"]["conditions"][0]["namespaces"])
    for one in every:
        if one["kind"] == "ExternalSecret":
            assert one["spec"]["secretStoreRef"]["name"] == stores[0]["metadata"]["name"]
            assert one["metadata"]["namespace"] in allowed


@needs_kubectl
@environments
def test_queues_hang_together(environment: str) -> None:
    every = {(one["kind"], one["metadata"]["name"]): one for one in configs(environment)}
    (local,) = [one for (kind, _), one in every.items() if kind == "LocalQueue"]
    queue = every["ClusterQueue", local["spec"]["clusterQueue"]]
    flavors = {
        flavor["name"] for group in queue["spec"]["resourceGroups"] for flavor in group["flavors"]
    }
    assert flavors == {name for kind, name in every if kind == "ResourceFlavor"}
    selector = queue["spec"]["namespaceSelector"]["matchLabels"]
    assert selector["kubernetes.io/metadata.name"] == local["metadata"]["namespace"]


@needs_kubectl
@environments
def test_the_gateways_are_those_that_the_others_name(environment: str) -> None:
    every = {(one["kind"], one["metadata"]["name"]): one for one in configs(environment)}
    models = every["Gateway", "kserve-ingress-gateway"]
    values = (ROOT / "manifests/infrastructure/controllers/kserve/values.yaml").read_text()
    assert "kserveGateway: kserve/kserve-ingress-gateway" in values
    assert models["metadata"]["namespace"] == "kserve"
    service = every["Service", "inference-gateway"]["spec"]
    owner = service["selector"]["gateway.envoyproxy.io/owning-gateway-name"]
    assert (owner, service["type"]) == ("kserve-ingress-gateway", "ClusterIP")
    public = every["Gateway", "public"]["spec"]["listeners"]
    certificate = every["Certificate", "public"]["spec"]
    assert public[0]["tls"]["certificateRefs"] == [{"name": certificate["secretName"]}]
    assert certificate["dnsNames"] == [public[0]["hostname"]]


@needs_kubectl
@environments
def test_only_the_public_gateway_is_reached_from_outside(environment: str) -> None:
    outside = [
        one
        for one in configs(environment)
        if one["kind"] == "Service" and one["spec"].get("type") in ("LoadBalancer", "NodePort")
    ]
    assert [one["metadata"]["name"] for one in outside] == ["public"]
    (ports,) = [{port["port"] for port in one["spec"]["ports"]} for one in outside]
    gateway = of_kind(configs(environment), "Gateway")["public"]
    assert ports == {listener["port"] for listener in gateway["spec"]["listeners"]}
    values = ROOT / "manifests/infrastructure/controllers/envoy-gateway/values.yaml"
    proxy = yaml.safe_load(values.read_text())["config"]["envoyGateway"]["envoyProxy"]
    assert proxy["provider"]["kubernetes"]["envoyService"] == {"type": "ClusterIP"}
