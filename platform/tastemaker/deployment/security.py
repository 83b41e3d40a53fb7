"""The security baseline of every pod that we render, wherever its template sits.

Kubernetes' Pod Security Standard "restricted", and ours on top: pinned images, requests and
limits, a read-only root file system, probes on what runs for long, no default service account.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tastemaker.deployment.faults import Fault, dotted, named

Path = tuple[str | int, ...]
Node = Mapping[str, Any]
Finding = tuple[Path, str]  # where below the pod, which rule

FINITE = ("Job", "CronJob", "RayJob")  # their pods end by themselves
PROBED_BY_OPERATOR = ("RayJob", "RayCluster", "RayService")  # KubeRay injects them
VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image",
           "persistentVolumeClaim", "projected", "secret"}  # fmt: skip
SYSCTLS = {"kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
           "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start",
           "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
           "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
           "net.ipv4.tcp_keepalive_probes"}  # fmt: skip
SELINUX = {"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"}

_TAG = re.compile(r":(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]*)$")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def pods(document: Node) -> Iterator[tuple[Path, Node]]:
    """Every pod specification in an object, with its path: what holds a list of containers."""
    if document.get("kind") != "CustomResourceDefinition":
        yield from _pods(document, ())


def faults(document: Node, *, where: str) -> list[Fault]:
    """Which rules an object's pods break.

    Args:
        document: Any rendered object.
        where: File that the faults name.
    """
    kind = str(document.get("kind"))
    probed = kind not in FINITE and kind not in PROBED_BY_OPERATOR
    found: list[Finding] = []
    for path, pod in pods(document):
        runs_on = probed and pod.get("restartPolicy", "Always") == "Always"
        found += [((*path, *below), rule) for below, rule in _pod(pod, runs_on)]
    return [Fault(where, named(document), dotted(path), rule) for path, rule in found]


def unpinned(image: Any) -> str:
    """Why an image name is not pinned; empty: it is (a digest, or a tag other than latest)."""
    if not isinstance(image, str) or not image:
        return "no image is named"
    if _DIGEST.search(image):
        return ""
    if "@" in image:
        return f"image {image!r} has a digest that is not sha256: and 64 hex characters"
    tag = _TAG.search(image)
    if tag is None:
        return f"image {image!r} has neither a digest nor a tag; pin it"
    return f"image {image!r} is not pinned: the tag latest moves" if tag["tag"] == "latest" else ""


def _pods(node: Any, path: Path) -> Iterator[tuple[Path, Node]]:
    if isinstance(node, Mapping):
        containers = node.get("containers")
        if isinstance(containers, list) and all(isinstance(one, Mapping) for one in containers):
            yield path, node
        for key, value in node.items():
            yield from _pods(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _pods(value, (*path, index))


def _pod(pod: Node, runs_on: bool) -> Iterator[Finding]:
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield (key,), "must not be true: a pod does not share its host's namespaces"
    yield from _service_account(pod)
    yield from _volumes(pod.get("volumes") or [])
    yield from _sysctls(pod.get("securityContext") or {})
    own = pod.get("securityContext") or {}
    for index, container in enumerate(pod["containers"]):
        for path, rule in (*_container(container, own), *(_probes(container) if runs_on else ())):
            yield ("containers", index, *path), rule
    for index, container in enumerate(pod.get("initContainers") or []):
        for path, rule in _container(container, own):
            yield ("initContainers", index, *path), rule


def _service_account(pod: Node) -> Iterator[Finding]:
    account = pod.get("serviceAccountName")
    if account in (None, "", "default"):
        yield ("serviceAccountName",), f"is {account!r}; a pod needs a service account of its own"
    if not isinstance(pod.get("automountServiceAccountToken"), bool):
        yield (
            ("automountServiceAccountToken",),
            "must be said: false, or true where the pod calls the Kubernetes API",
        )


def _volumes(volumes: Sequence[Node]) -> Iterator[Finding]:
    for index, volume in enumerate(volumes):
        for kind in set(volume) - {"name"} - VOLUMES:
            yield ("volumes", index, kind), "this kind of volume is not allowed (restricted)"


def _sysctls(context: Node) -> Iterator[Finding]:
    for index, one in enumerate(context.get("sysctls") or []):
        if one.get("name") not in SYSCTLS:
            yield ("securityContext", "sysctls", index), f"{one.get('name')!r} is not a safe sysctl"


def _container(container: Node, pod: Node) -> Iterator[Finding]:
    context = container.get("securityContext") or {}
    if rule := unpinned(container.get("image")):
        yield ("image",), rule
    for path, wrong, rule in _rules(context, pod):
        if wrong:
            yield ("securityContext", *path), rule
    for index, port in enumerate(container.get("ports") or []):
        if port.get("hostPort"):
            yield ("ports", index, "hostPort"), "must not be set (restricted)"
    for amount in ("requests", "limits"):
        held = (container.get("resources") or {}).get(amount) or {}
        for what in ("cpu", "memory"):
            if what not in held:
                yield ("resources", amount, what), "missing: every container says what it takes"


def _rules(context: Node, pod: Node) -> Iterator[tuple[Path, bool, str]]:
    """Rules of one container's securityContext; the pod's holds where the container's is silent."""

    def effective(key: str) -> Any:
        return context[key] if key in context else pod.get(key)

    capabilities = context.get("capabilities") or {}
    seccomp = (effective("seccompProfile") or {}).get("type")
    selinux = effective("seLinuxOptions") or {}
    windows = effective("windowsOptions") or {}
    armor = (effective("appArmorProfile") or {}).get("type", "RuntimeDefault")
    yield ("privileged",), bool(context.get("privileged")), "must not be true (restricted)"
    yield (
        ("allowPrivilegeEscalation",),
        context.get("allowPrivilegeEscalation") is not False,
        "must be false (restricted)",
    )
    yield (
        ("capabilities", "drop"),
        "ALL" not in (capabilities.get("drop") or []),
        "must hold ALL (restricted)",
    )
    added = set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}
    yield ("capabilities", "add"), bool(added), f"{sorted(added)} may not be added (restricted)"
    yield (
        ("runAsNonRoot",),
        effective("runAsNonRoot") is not True,
        "must be true, here or of the pod (restricted)",
    )
    yield ("runAsUser",), effective("runAsUser") == 0, "must not be 0 (restricted)"
    yield (
        ("seccompProfile", "type"),
        seccomp not in ("RuntimeDefault", "Localhost"),
        f"is {seccomp!r}; must be RuntimeDefault or Localhost, here or of the pod (restricted)",
    )
    yield (
        ("procMount",),
        context.get("procMount", "Default") != "Default",
        "must be Default (restricted)",
    )
    yield (
        ("seLinuxOptions",),
        selinux.get("type", "") not in SELINUX or bool(selinux.get("user") or selinux.get("role")),
        "other types, users and roles are not allowed (restricted)",
    )
    yield ("windowsOptions",), bool(windows.get("hostProcess")), "hostProcess is not allowed"
    yield (
        ("appArmorProfile", "type"),
        armor not in ("RuntimeDefault", "Localhost"),
        f"is {armor!r}; must be RuntimeDefault or Localhost (restricted)",
    )
    yield (
        ("readOnlyRootFilesystem",),
        context.get("readOnlyRootFilesystem") is not True,
        "must be true; write to an emptyDir",
    )


def _probes(container: Node) -> Iterator[Finding]:
    for probe in ("readinessProbe", "livenessProbe"):
        if not container.get(probe):
            yield (probe,), "missing: what runs for long says when it is ready and alive"
