"""What one object says of another holds: selectors, ports, names."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tastemaker.deployment import security
from tests.helm.tastemaker_objects import (
    EVERY,
    Node,
    names,
    of_kind,
    pods,
    render,
    selected,
    variant,
)

NAMED_BY_THE_OPERATOR = {
    "tastemaker-object-store",
    "tastemaker-database",
    "tastemaker-redis",
    "tastemaker-git",
    "provider-keys",
    "s3-ca",
}


@EVERY
def test_services_and_their_monitors_find_pods_and_ports(file: Path) -> None:
    objects = render(file)
    for service in of_kind(objects, "Service"):
        found = [
            pod for _, labels, pod in pods(objects) if service["spec"]["selector"].items()
            <= labels.items()
        ]  # fmt: skip
        assert len(found) == 1, service["metadata"]["name"]
        ports = {port["name"] for one in found[0]["containers"] for port in one.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    for monitor in of_kind(objects, "ServiceMonitor"):
        match = [
            one
            for one in of_kind(objects, "Service")
            if selected(monitor["spec"]["selector"], one["metadata"]["labels"])
        ]
        assert len(match) == 1, monitor["metadata"]["name"]
        offered = {port["name"] for port in match[0]["spec"]["ports"]}
        assert {one["port"] for one in monitor["spec"]["endpoints"]} <= offered


@EVERY
def test_workloads_budgets_and_policies_select_pods_that_exist(file: Path) -> None:
    objects = render(file)
    everyone = list(pods(objects))
    for one in of_kind(objects, "PodDisruptionBudget", "Deployment", "StatefulSet"):
        match = [name for name, labels, _ in everyone if selected(one["spec"]["selector"], labels)]
        assert match == [one["metadata"]["name"]]
    for policy in of_kind(objects, "NetworkPolicy"):
        where = policy["metadata"]["name"]
        chosen = policy["spec"]["podSelector"]
        assert any(selected(chosen, labels) for _, labels, _ in everyone), where
        for rule in (*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])):
            for peer in (*rule.get("from", []), *rule.get("to", [])):
                if set(peer) == {"podSelector"}:
                    assert _some(peer["podSelector"], everyone, objects), f"{where}: {peer}"


def _some(selector: Node, everyone: list[Any], objects: list[dict[str, Any]]) -> bool:
    process = "base-job-template" not in str(of_kind(objects, "ConfigMap"))
    if "tastemaker-flow-run" in selector.get("matchLabels", {}) and process:
        return True  # a worker without Jobs has no such pods; the rule lets nobody in
    return any(selected(selector, labels) for _, labels, _ in everyone)


@EVERY
def test_what_pods_name_is_rendered_or_the_operators(file: Path) -> None:
    objects = render(file)
    made = names(objects, "ExternalSecret")
    for pod_name, _, pod in pods(objects):
        account = pod["serviceAccountName"]
        if "{{" not in account:
            assert account in names(objects, "ServiceAccount"), pod_name
        for name, key in _config_maps(pod):
            if name == "kube-root-ca.crt":
                continue
            (found,) = [m for m in of_kind(objects, "ConfigMap") if m["metadata"]["name"] == name]
            assert key is None or key in found["data"], f"{pod_name}: {name} lacks {key}"
        for name in _secrets(pod):
            assert name in NAMED_BY_THE_OPERATOR, f"{pod_name}: {name}"
            if file.stem == "external-secrets-values":
                assert name in made


def _config_maps(node: Any) -> Iterator[tuple[str, str | None]]:
    for key, value in _walk(node):
        if key == "configMap":
            for item in value.get("items") or [{"key": None}]:
                yield value["name"], item["key"]
        if key == "configMapKeyRef":
            yield value["name"], value["key"]


def _secrets(node: Any) -> set[str]:
    found = set()
    for key, value in _walk(node):
        if key in ("secretKeyRef", "secretRef"):
            found.add(value["name"])
        if key == "secret":
            found.add(value["secretName"])
    return found


def _walk(node: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield key, value
            yield from _walk(value)
    elif isinstance(node, list):
        for value in node:
            yield from _walk(value)


@EVERY
def test_routes_and_scalers_name_what_exists(file: Path) -> None:
    objects = render(file)
    services = {
        (one["metadata"]["name"], port["port"])
        for one in of_kind(objects, "Service")
        for port in one["spec"]["ports"]
    }
    for route in of_kind(objects, "HTTPRoute"):
        for rule in route["spec"]["rules"]:
            for to in rule["backendRefs"]:
                assert (to["name"], to["port"]) in services
    for one in of_kind(objects, "HorizontalPodAutoscaler", "ScaledObject"):
        assert one["spec"]["scaleTargetRef"]["name"] in names(objects, "Deployment")
    for one in of_kind(objects, "RoleBinding"):
        assert one["roleRef"]["name"] in names(objects, "Role")
        assert {s["name"] for s in one["subjects"]} <= names(objects, "ServiceAccount")


@EVERY
def test_mounts_and_volumes_agree(file: Path) -> None:
    for name, _, pod in pods(render(file)):
        volumes = {one["name"] for one in pod.get("volumes", [])}
        mounts = {m["name"] for c in pod["containers"] for m in c.get("volumeMounts", [])}
        if name == "tastemaker-redis":
            mounts -= {"data"}  # of the claim
        assert mounts == volumes, name


def test_a_flow_runs_pod_keeps_the_security_baseline() -> None:
    """Prefect makes it, so no render shows it: the template must be as strict."""
    (text,) = [
        one["data"]["base-job-template.json"]
        for one in of_kind(variant("default"), "ConfigMap")
        if "base-job-template.json" in one["data"]
    ]
    template = yaml.safe_load(text)
    job = _with_defaults(template["job_configuration"]["job_manifest"], template["variables"])
    assert security.faults(job, where="work pool") == []
    # Without these prefect-kubernetes 0.8 refuses the template (tried against its worker).
    pod = job["spec"]["template"]["spec"]
    assert pod["completions"] == pod["parallelism"] == 1
    assert pod["containers"][0]["name"] == "prefect-job"
    # a list: then its worker puts the flow's own variables before these, which are secret
    names = [one["name"] for one in pod["containers"][0]["env"]]
    assert names == ["TASTEMAKER_DATABASE", "TASTEMAKER_GIT", "TASTEMAKER_GIT_BRANCH"]


def _with_defaults(node: Any, variables: Node) -> Any:
    """As Prefect fills the template in; a variable without a default leaves its key out."""
    if isinstance(node, Mapping):
        filled = {key: _with_defaults(value, variables) for key, value in node.items()}
        return {key: value for key, value in filled.items() if value is not None}
    if isinstance(node, list):
        return [_with_defaults(value, variables) for value in node]
    if isinstance(node, str) and node.startswith("{{ ") and node.endswith(" }}"):
        return variables["properties"][node[3:-3]].get("default")
    return node
