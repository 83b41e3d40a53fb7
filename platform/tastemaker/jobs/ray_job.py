"""A RayJob of KubeRay as a pure function of its settings: bounded, unprivileged, cleaned up."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tastemaker.core import digests
from tastemaker.core.errors import ConfigError
from tastemaker.jobs.cluster_config import HOME_MOUNT, UID, Resources
from tastemaker.jobs.ray_job_config import RayJobConfig

_CLEAN_UP_AFTER_S = 60  # time to read the causes of a failure from its pods
_SUBMITTER = Resources(
    cpu_request="200m", cpu_limit="1", memory_request="512Mi", memory_limit="1Gi"
)


def job_name(work: str, inputs: Sequence[str]) -> str:
    """Name of the job for some inputs: a step that is tried again finds the one under way.

    Args:
        work: embed, train-router.
        inputs: Digests and settings that the result depends on.
    """
    return f"{work}-{digests.of_json(list(inputs))}"


def render_ray_job(
    name: str, entrypoint: Sequence[str], config: RayJobConfig, *, namespace: str, ray_version: str
) -> dict[str, Any]:
    """The object that is given to the Kubernetes API.

    Args:
        name: Of the job, at most 47 characters.
        entrypoint: Command of the driver, run in the job's own Ray cluster.
        config: Size, limits and surroundings.
        namespace: Where it goes.
        ray_version: Of the image; KubeRay's behaviour depends on it.

    Raises:
        ConfigError: A name that KubeRay refuses, or no image.
    """
    if len(name) > 47:  # the names of its cluster, services and pods are made from it
        raise ConfigError(f"Ray job name {name!r} has {len(name)} characters; at most 47")
    if not config.image:
        raise ConfigError("ray_job settings: no image; a compiled pipeline fills it in")
    labels = {"app.kubernetes.io/part-of": "tastemaker", "app.kubernetes.io/component": name}
    queue = {"kueue.x-k8s.io/queue-name": config.queue} if config.queue else {}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": name, "namespace": namespace, "labels": {**labels, **queue}},
        "spec": {
            "entrypoint": shlex.join(entrypoint),
            "submissionMode": "K8sJobMode",
            "shutdownAfterJobFinishes": True,  # Kueue asks for it; excludes deletion rules
            "ttlSecondsAfterFinished": _CLEAN_UP_AFTER_S,
            "activeDeadlineSeconds": config.deadline_s,
            "preRunningDeadlineSeconds": config.start_deadline_s,
            "backoffLimit": config.retries,
            "submitterConfig": {"backoffLimit": 2},
            "submitterPodTemplate": _submitter(config, labels),
            "rayClusterSpec": _cluster(config, labels, ray_version),
        },
    }


def _cluster(config: RayJobConfig, labels: Mapping[str, str], version: str) -> dict[str, Any]:
    workers = {
        "groupName": "workers",
        "replicas": config.workers,
        "minReplicas": config.workers,
        "maxReplicas": config.workers,
        "rayStartParams": {},
        "template": _pod("ray-worker", config.worker, config, labels),
    }
    head = {
        # no work on the head: a worker that runs out of memory must not take the job along
        "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},
        "template": _pod("ray-head", config.head, config, labels),
    }
    return {"rayVersion": version, "headGroupSpec": head, "workerGroupSpecs": [workers]}


def _submitter(config: RayJobConfig, labels: Mapping[str, str]) -> dict[str, Any]:
    template = _pod("ray-job-submitter", _SUBMITTER, config, labels)
    template["spec"]["restartPolicy"] = "Never"
    template["spec"].pop("tolerations", None)
    return template


def _pod(
    name: str, resources: Resources, config: RayJobConfig, labels: Mapping[str, str]
) -> dict[str, Any]:
    mounts = [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "scratch", "mountPath": "/home/tastemaker"},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    volumes: list[dict[str, Any]] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "scratch", "emptyDir": {}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": config.object_store}},
    ]
    if config.home_claim:
        mounts.append({"name": "home", "mountPath": HOME_MOUNT})
        claim = {"claimName": config.home_claim}
        volumes.append({"name": "home", "persistentVolumeClaim": claim})
    container = {
        "name": name,
        "image": config.image,
        "env": _env(config),
        "resources": _resources(resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": mounts,
    }
    spec: dict[str, Any] = {
        "serviceAccountName": config.service_account,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "fsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }
    if config.tolerations and resources.accelerators:
        spec["tolerations"] = [taint.model_dump(exclude={"value"} if not taint.value else None)
                               for taint in config.tolerations]  # fmt: skip
    return {"metadata": {"labels": dict(labels)}, "spec": spec}


def _resources(asked: Resources) -> dict[str, Any]:
    requests = {"cpu": asked.cpu_request, "memory": asked.memory_request}
    limits = {"cpu": asked.cpu_limit, "memory": asked.memory_limit}
    if asked.accelerators:
        limits[asked.accelerator] = str(asked.accelerators)
        requests[asked.accelerator] = str(asked.accelerators)
    return {"requests": requests, "limits": limits}


def _env(config: RayJobConfig) -> list[dict[str, Any]]:
    env: list[dict[str, Any]] = [{"name": "RAY_USAGE_STATS_ENABLED", "value": "0"}]
    if config.home_claim:
        return [*env, {"name": "TASTEMAKER_HOME", "value": HOME_MOUNT}]
    for key, name in config.config_map_env.items():
        at = {"name": config.config_map, "key": key, "optional": name != "TASTEMAKER_HOME"}
        env.append({"name": name, "valueFrom": {"configMapKeyRef": at}})
    if config.secret:
        for key, name in config.secret_env.items():
            at = {"name": config.secret, "key": key}
            env.append({"name": name, "valueFrom": {"secretKeyRef": at}})
    return env
