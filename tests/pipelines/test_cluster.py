"""The cluster form: the same pipeline, with resources, credentials, limits and retries."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import components, dsl, local

from pipelines.cluster import on_cluster
from pipelines.compile import compile_text
from tastemaker.core.config import load_preset, presets
from tastemaker.core.errors import ConfigError
from tastemaker.deployment.schemas import Schemas
from tastemaker.jobs.cluster_config import ClusterConfig
from tastemaker.jobs.full_stack import STEPS, compiled
from tastemaker.jobs.ray_job_config import ENVIRONMENT, RayJobConfig

PRESETS = presets("cluster")


def documents(preset: str, name: str = "full_stack") -> list[dict[str, Any]]:
    return list(yaml.load_all(compiled(name, preset).read_text(), yaml.CSafeLoader))


def executors(ir: dict[str, Any]) -> dict[str, Any]:
    return ir["deploymentSpec"]["executors"]


def config(*overrides: str, preset: str = "default") -> ClusterConfig:
    return load_preset(ClusterConfig, "cluster", preset, overrides)


@dsl.component(base_image="tastemaker/train:0.1.0", install_kfp_package=False)
def count(file: str) -> str:
    import pathlib

    tries = pathlib.Path(file)
    tries.write_text(f"{tries.read_text() if tries.exists() else ''}x")
    return "done"


@dsl.pipeline(name="tiny")
def tiny(file: str) -> None:
    count(file=file)


def settings(*overrides: str, pipeline: Any = tiny, preset: str = "default") -> tuple[Any, Any]:
    """Container and platform settings of the one task."""
    text = compile_text(on_cluster(pipeline, config(*overrides, preset=preset)))
    ir, platform = yaml.safe_load_all(text)
    placed = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    (container,), (settings,) = executors(ir).values(), placed.values()
    return container["container"], settings


@pytest.mark.parametrize("preset", PRESETS)
def test_it_is_the_pipeline_that_runs_here(preset: str) -> None:
    here, there = documents("")[0], documents(preset)[0]
    for name, executor in executors(there).items():
        container = executor["container"]
        for cluster_only in ("resources", "env"):
            container.pop(cluster_only, None)
        container["image"] = executors(here)[name]["container"]["image"]
    for task in there["root"]["dag"]["tasks"].values():
        assert task.pop("retryPolicy")["maxRetryCount"] == 2
    assert there == here


@pytest.mark.parametrize("preset", PRESETS)
def test_every_container_is_bounded_and_unprivileged(preset: str) -> None:
    ir, platform = documents(preset)
    kubernetes = platform["platforms"]["kubernetes"]
    placed = kubernetes["deploymentSpec"]["executors"]
    assert set(placed) == set(executors(ir))
    assert kubernetes["pipelineConfig"]["activeDeadlineSeconds"] > 0
    assert kubernetes["pipelineConfig"]["resourceTtlOnCompletion"] > 0
    for name, pod in placed.items():
        resources = executors(ir)[name]["container"]["resources"]
        asked = {"resourceCpuRequest", "resourceCpuLimit", "resourceMemoryRequest"}
        assert asked | {"resourceMemoryLimit"} <= set(resources), name
        assert int(pod["activeDeadlineSeconds"]) > 0
        assert pod["securityContext"] == {
            "runAsUser": "10001",
            "runAsGroup": "10001",
            "runAsNonRoot": True,
        }
        assert {m["mountPath"] for m in pod["emptyDirMounts"]} == {"/tmp", "/home/tastemaker"}
        secret, *more = pod["secretAsEnv"]
        assert all(one["optional"] for one in more)
        assert {k["envVar"] for k in secret["keyToEnv"]} == {
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
        }
        home, others = pod["configMapAsEnv"]
        assert [k["envVar"] for k in home["keyToEnv"]] == ["TASTEMAKER_HOME"]
        assert (home.get("optional", False), others["optional"]) == (False, True)


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_places_every_step_and_caches_what_is_made(preset: str) -> None:
    placed = load_preset(ClusterConfig, "cluster", preset)
    assert set(placed.steps) <= {
        *STEPS,
        *(f"evaluate_{m}" for m in ("encoder", "sequence", "router")),
        "gate",
    }
    assert {step for step in STEPS if step not in placed.steps} == set()
    for name, task in documents(preset)[0]["root"]["dag"]["tasks"].items():
        cached = name != "promote" and not name.startswith("gate")
        assert task["cachingOptions"].get("enableCache", False) is cached, name


@pytest.mark.parametrize("preset", PRESETS)
def test_objects_are_what_an_api_server_takes(preset: str, schemas: Schemas) -> None:
    pipeline, version = documents(preset, "full_stack.objects")
    for document in (pipeline, version):
        assert not schemas.faults(document, where=preset)
    assert version["spec"]["pipelineName"] == pipeline["metadata"]["name"] == "full-stack"
    ir, platform = documents(preset)
    assert version["spec"]["pipelineSpec"] == ir
    assert version["spec"]["platformSpec"] == platform
    misspelt = {**version, "spec": {**version["spec"], "pipelineSpek": {}}}
    assert schemas.faults(misspelt, where=preset)


def test_a_version_is_named_by_its_content() -> None:
    names = {documents(p, "full_stack.objects")[1]["metadata"]["name"] for p in PRESETS}
    assert len(names) == len(PRESETS)


def test_the_gpu_preset_asks_for_accelerators_and_a_queue() -> None:
    ir, platform = documents("gpu")
    placed = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    trained = executors(ir)["exec-train-router"]["container"]
    assert trained["resources"]["accelerator"]["resourceType"] == "nvidia.com/gpu"
    assert trained["image"].endswith("-cuda")
    assert placed["exec-train-router"]["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "accelerator" not in executors(ir)["exec-curate"]["container"]["resources"]
    for pod in placed.values():
        assert pod["podMetadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "tastemaker"


def test_steps_that_can_spread_know_the_ray_job() -> None:
    ir, _ = documents("default")
    for name, executor in executors(ir).items():
        env = {e["name"]: e["value"] for e in executor["container"].get("env", [])}
        spreads = name in ("exec-precompute-embeddings", "exec-train-router")
        assert (ENVIRONMENT in env) is spreads
        if spreads:
            job = RayJobConfig.model_validate_json(env[ENVIRONMENT])
            assert job.image == executor["container"]["image"]
            assert job.secret == "tastemaker-object-store"
    small, _ = documents("small")
    assert ENVIRONMENT not in str(small)


def test_a_volume_claim_can_be_the_home() -> None:
    container, pod = settings("home_claim=homes")
    assert pod["pvcMount"][0]["mountPath"] == "/mnt/home"
    assert {"name": "TASTEMAKER_HOME", "value": "/mnt/home"} in container["env"]
    assert all(secret["optional"] for secret in pod["secretAsEnv"])
    assert "configMapAsEnv" not in pod


def test_scratch_can_be_a_volume_of_its_own_and_credentials_a_role() -> None:
    _, pod = settings("scratch_storage_class=fast", "scratch=7Gi", "secret=''")
    assert [v["size"] for v in pod["genericEphemeralVolume"]] == ["7Gi", "7Gi"]
    assert "emptyDirMounts" not in pod
    assert all(secret["optional"] for secret in pod["secretAsEnv"])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("tag=latest", "must name one version"),
        ("classes.light.cpu_limit=lots", "cpu_limit"),
        ("classes.light.accelerators=1", "give both or neither"),
        ("steps.curate=huge", r"unknown step classes \['huge'\]"),
        ("config_map_env={A: B}", "no key gives TASTEMAKER_HOME"),
        ("regisrty=x", "did you mean 'registry'"),
    ],
)
def test_settings_that_cannot_be(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        config(override)


def test_kfp_local_runs_the_two_documents(tmp_path: Path) -> None:
    file = tmp_path / "tiny.yaml"
    file.write_text(compile_text(on_cluster(tiny, config())))
    tries = tmp_path / "tries"
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(tmp_path / "root"),
        raise_on_error=True,
    )
    components.load_component_from_file(str(file))(file=str(tries))
    assert tries.read_text() == "x"
