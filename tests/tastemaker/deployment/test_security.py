"""The security baseline: a pod that keeps it, and each rule broken once."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tastemaker.deployment import security

POD: dict[str, Any] = {
    "serviceAccountName": "shop",
    "automountServiceAccountToken": False,
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "volumes": [{"name": "tmp", "emptyDir": {}}],
    "containers": [
        {
            "name": "shop",
            "image": "registry.example.com:5000/shop:1.2",
            "resources": {
                "requests": {"cpu": "1", "memory": "1Gi"},
                "limits": {"cpu": "1", "memory": "1Gi"},
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
            "readinessProbe": {"httpGet": {"port": 1}},
            "livenessProbe": {"httpGet": {"port": 1}},
        }
    ],
}


def said(document: dict[str, Any]) -> list[str]:
    return [str(fault) for fault in security.faults(document, where="f.yaml")]


def deployment(pod: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "metadata": {"name": "shop"},
        "spec": {"template": {"spec": pod}},
    }


def broken(change: Callable[[dict[str, Any]], Any]) -> list[str]:
    pod = copy.deepcopy(POD)
    change(pod)
    return said(deployment(pod))


def context(pod: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pod["containers"][0]["securityContext"]
    return found


def test_a_pod_that_keeps_every_rule() -> None:
    assert said(deployment(POD)) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda pod: pod.update(hostNetwork=True), "hostNetwork"),
        (lambda pod: pod.update(hostPID=True), "hostPID"),
        (lambda pod: pod.update(hostIPC=True), "hostIPC"),
        (lambda pod: pod.update(serviceAccountName="default"), "serviceAccountName"),
        (lambda pod: pod.pop("serviceAccountName"), "serviceAccountName"),
        (lambda pod: pod.pop("automountServiceAccountToken"), "automountServiceAccountToken"),
        (lambda pod: pod["volumes"].append({"name": "h", "hostPath": {}}), "volumes[1].hostPath"),
        (lambda pod: pod["securityContext"].update(sysctls=[{"name": "k"}]), "sysctls[0]"),
        (lambda pod: pod["securityContext"].pop("runAsNonRoot"), "runAsNonRoot"),
        (lambda pod: context(pod).update(runAsNonRoot=False), "runAsNonRoot"),
        (lambda pod: context(pod).update(runAsUser=0), "runAsUser"),
        (lambda pod: pod["securityContext"].pop("seccompProfile"), "seccompProfile.type"),
        (lambda pod: context(pod).update(privileged=True), "privileged"),
        (lambda pod: context(pod).pop("allowPrivilegeEscalation"), "allowPrivilegeEscalation"),
        (lambda pod: context(pod).pop("capabilities"), "capabilities.drop"),
        (lambda pod: context(pod)["capabilities"].update(add=["SYS_ADMIN"]), "capabilities.add"),
        (lambda pod: context(pod).update(procMount="Unmasked"), "procMount"),
        (lambda pod: context(pod).update(seLinuxOptions={"user": "x"}), "seLinuxOptions"),
        (lambda pod: context(pod).update(windowsOptions={"hostProcess": True}), "windowsOptions"),
        (lambda pod: context(pod).update(appArmorProfile={"type": "Unconfined"}), "appArmor"),
        (lambda pod: context(pod).pop("readOnlyRootFilesystem"), "readOnlyRootFilesystem"),
        (lambda pod: pod["containers"][0]["resources"]["limits"].pop("cpu"), "limits.cpu"),
        (lambda pod: pod["containers"][0].pop("resources"), "resources.requests.memory"),
        (lambda pod: pod["containers"][0].pop("readinessProbe"), "readinessProbe"),
        (lambda pod: pod["containers"][0].pop("livenessProbe"), "livenessProbe"),
        (lambda pod: pod["containers"][0].update(ports=[{"hostPort": 80}]), "ports[0].hostPort"),
        (lambda pod: pod["containers"][0].update(image="shop"), "containers[0].image"),
        (lambda pod: pod.update(initContainers=[{"name": "i", "image": "a:1"}]), "initContainers["),
    ],
)
def test_each_rule_is_held_to(change: Callable[[dict[str, Any]], Any], field: str) -> None:
    found = broken(change)
    assert any(field in fault for fault in found), found
    assert all(fault.startswith("f.yaml: Deployment/shop: spec.template.spec.") for fault in found)


@pytest.mark.parametrize(
    ("image", "pinned"),
    [
        ("shop:1.2", True),
        ("registry:5000/shop:1.2", True),
        (f"shop@sha256:{'0' * 64}", True),
        (f"shop:latest@sha256:{'0' * 64}", True),
        ("shop", False),
        ("registry:5000/shop", False),
        ("shop:latest", False),
        ("shop@sha256:123", False),
        ("", False),
        (None, False),
    ],
)
def test_pinned_images(image: str | None, pinned: bool) -> None:
    assert (security.unpinned(image) == "") == pinned


def test_pods_are_found_wherever_they_sit() -> None:
    group = {"template": {"spec": POD}}
    nested = [
        ("Deployment", {"template": {"spec": POD}}),
        ("CronJob", {"jobTemplate": {"spec": {"template": {"spec": POD}}}}),
        ("InferenceService", {"predictor": POD, "canary": [{"predictor": POD}]}),
        ("LLMInferenceService", {"template": POD, "prefill": {"template": POD}}),
        ("RayJob", {"rayClusterSpec": {"headGroupSpec": group, "workerGroupSpecs": [group]}}),
    ]
    counts = {kind: len(list(security.pods({"kind": kind, "spec": s}))) for kind, s in nested}
    expected = {"Deployment": 1, "CronJob": 1, "InferenceService": 2}
    assert counts == {**expected, "LLMInferenceService": 2, "RayJob": 2}


def test_what_ends_by_itself_needs_no_probes() -> None:
    pod = copy.deepcopy(POD)
    del pod["containers"][0]["livenessProbe"], pod["containers"][0]["readinessProbe"]
    job = {"kind": "Job", "metadata": {"name": "j"}, "spec": {"template": {"spec": pod}}}
    assert said(job) == []
    assert len(said(deployment(pod))) == 2
