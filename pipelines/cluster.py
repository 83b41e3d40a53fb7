"""A pipeline as a cluster runs it: the same tasks, with resources, credentials and limits."""

import re
from functools import wraps
from typing import Any

from kfp import dsl, kubernetes
from kfp.dsl.graph_component import GraphComponent
from kfp.dsl.pipeline_context import Pipeline

from tastemaker.core.config import load_preset, to_settings
from tastemaker.jobs.cluster_config import HOME_MOUNT, UID, ClusterConfig, StepClass
from tastemaker.jobs.ray_job_config import ENVIRONMENT, RayJobConfig, in_cluster

GIT_STEPS = frozenset({"gate", "gate_set", "promote"})  # those that read or change what is live
GIT_SECRETS = {  # of docs/kubernetes.md
    "tastemaker-git": {"url": "TASTEMAKER_GIT", "branch": "TASTEMAKER_GIT_BRANCH"},
    "tastemaker-signing": {"signing.pem": "TASTEMAKER_SIGNING_KEY"},
}
RAY_STEPS = frozenset({"precompute_embeddings", "train_router"})  # those that can submit Ray jobs


def on_cluster(pipeline: GraphComponent, config: ClusterConfig) -> GraphComponent:
    """The same pipeline with a cluster's settings on each task.

    Args:
        pipeline: As `@dsl.pipeline` made it.
        config: Of the cluster.
    """
    flow = pipeline.pipeline_func

    @wraps(flow)
    def configured(*args: Any, **kwargs: Any) -> Any:
        made = flow(*args, **kwargs)
        for name, task in Pipeline.get_default_pipeline().tasks.items():
            component = re.sub(r"-\d+$", "", name)  # the second gate is named gate-2
            _configure(task, component.replace("-", "_"), config)
        return made

    limits = dsl.PipelineConfig(
        ttl_seconds_after_finished=config.keep_finished_s,
        active_deadline_seconds=config.run_timeout_s,
    )
    return dsl.pipeline(name=pipeline.name, pipeline_config=limits)(configured)


def _configure(task: dsl.PipelineTask, step: str, config: ClusterConfig) -> None:
    chosen = config.step_class(step)
    task.set_container_image(config.image(chosen.image_suffix))
    _limit(task, chosen, config)
    _store(task, config)
    # the platform adds: no privileges, no capabilities, the runtime's seccomp profile
    kubernetes.set_security_context(task, run_as_user=UID, run_as_group=UID, run_as_non_root=True)
    if config.queue:
        kubernetes.add_pod_label(task, "kueue.x-k8s.io/queue-name", config.queue)
    kubernetes.add_pod_label(task, "app.kubernetes.io/part-of", "tastemaker")
    kubernetes.add_pod_label(task, "app.kubernetes.io/component", step.replace("_", "-"))
    if step in GIT_STEPS:
        for secret, keys in GIT_SECRETS.items():
            kubernetes.use_secret_as_env(task, secret, keys, optional=True)
    if step in RAY_STEPS and config.ray_job:
        job = in_cluster(load_preset(RayJobConfig, "ray_job", config.ray_job), config)
        task.set_env_variable(ENVIRONMENT, to_settings(job))
        # the step waits for its job, each of its attempts included
        kubernetes.set_timeout(task, max(chosen.timeout_s, job.longest_s))


def _limit(task: dsl.PipelineTask, chosen: StepClass, config: ClusterConfig) -> None:
    task.set_cpu_request(chosen.cpu_request).set_cpu_limit(chosen.cpu_limit)
    task.set_memory_request(chosen.memory_request).set_memory_limit(chosen.memory_limit)
    if chosen.accelerators:
        task.set_accelerator_type(chosen.accelerator).set_accelerator_limit(chosen.accelerators)
        for taint in config.tolerations:
            kubernetes.add_toleration(
                task, key=taint.key, operator=taint.operator, value=taint.value, effect=taint.effect
            )
    kubernetes.set_timeout(task, chosen.timeout_s)
    if chosen.retries:
        task.set_retry(
            chosen.retries,
            backoff_duration=f"{config.retry_after_s}s",
            backoff_factor=config.retry_factor,
            backoff_max_duration=f"{config.retry_after_max_s}s",
        )


def _store(task: dsl.PipelineTask, config: ClusterConfig) -> None:
    env = dict(config.config_map_env)
    home = {key: name for key, name in env.items() if name == "TASTEMAKER_HOME"}
    others = {key: name for key, name in env.items() if key not in home}
    if config.home_claim:
        kubernetes.mount_pvc(task, config.home_claim, HOME_MOUNT)
        task.set_env_variable("TASTEMAKER_HOME", HOME_MOUNT)
    else:
        kubernetes.use_config_map_as_env(task, config.config_map, home)
        if others:  # the cloud's own S3 needs no endpoint
            kubernetes.use_config_map_as_env(task, config.config_map, others, optional=True)
        if config.secret:
            kubernetes.use_secret_as_env(task, config.secret, config.secret_env)
    for secret, keys in config.more_secrets.items():
        kubernetes.use_secret_as_env(task, secret, keys, optional=True)
    for name, path in (("tmp", "/tmp"), ("scratch", "/home/tastemaker")):
        if config.scratch_storage_class:
            kubernetes.add_ephemeral_volume(
                task,
                name,
                path,
                access_modes=["ReadWriteOnce"],
                size=config.scratch,
                storage_class_name=config.scratch_storage_class,
            )
        else:
            kubernetes.empty_dir_mount(task, name, path, size_limit=config.scratch)
