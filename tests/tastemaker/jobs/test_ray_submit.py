"""RayJobs: what is rendered is valid and unprivileged; what happens to one is said, with causes."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import ray

from tastemaker.core.config import load_preset, presets, to_settings
from tastemaker.core.errors import ConfigError, ServiceError, TastemakerError
from tastemaker.deployment import security
from tastemaker.deployment.schemas import Schemas
from tastemaker.jobs.cluster_config import ClusterConfig
from tastemaker.jobs.kubernetes_api import KubernetesApi
from tastemaker.jobs.ray_job import job_name, render_ray_job
from tastemaker.jobs.ray_job_config import ENVIRONMENT, RayJobConfig, in_cluster
from tastemaker.jobs.ray_submit import RAY_JOBS, run_ray_job
from tests.tastemaker.jobs.kubernetes_server import ApiServer, Stage, container, serving

CLUSTER = ClusterConfig(registry="registry.acme.io")
CONFIG = in_cluster(RayJobConfig(deadline_s=60, start_deadline_s=30, retries=0), CLUSTER)
NAME = job_name("embed", ["dataset", "encoder"])
COMMAND = ["python", "-m", "tastemaker.jobs.ray_embed", "--settings", '{"a": 1}']
RAY = {"rayClusterName": "embed-cluster", "startTime": "2026-11-28T12:00:00Z"}


def status(state: str, job: str = "", **more: Any) -> dict[str, Any]:
    return {**RAY, "jobDeploymentStatus": state, "jobStatus": job, **more}


DONE = Stage(status("Complete", "SUCCEEDED"))
RUNNING = Stage(status("Running", "RUNNING"), log=[])


@pytest.fixture
def server(schemas: Schemas) -> ApiServer:
    return ApiServer(schemas)


@pytest.fixture
def api(server: ApiServer) -> Iterator[KubernetesApi]:
    with serving(server) as client:
        yield client


def run(api: KubernetesApi, config: RayJobConfig = CONFIG, **more: Any) -> None:
    run_ray_job(NAME, COMMAND, config, api=api, poll_s=0.01, **more)


def rendered(config: RayJobConfig) -> dict[str, Any]:
    return render_ray_job(NAME, COMMAND, config, namespace="runs", ray_version=ray.__version__)


@pytest.mark.parametrize("preset", presets("ray_job"))
@pytest.mark.parametrize("cluster", presets("cluster"))
def test_every_preset_is_valid_and_unprivileged(
    preset: str, cluster: str, schemas: Schemas
) -> None:
    config = in_cluster(
        load_preset(RayJobConfig, "ray_job", preset), load_preset(ClusterConfig, "cluster", cluster)
    )
    job = rendered(config)
    assert not schemas.faults(job, where=preset)
    assert not security.faults(job, where=preset)
    assert len(list(security.pods(job))) == 3
    spec = job["spec"]
    assert spec["activeDeadlineSeconds"] > spec["preRunningDeadlineSeconds"] > 0
    assert spec["shutdownAfterJobFinishes"]
    assert "deletionStrategy" not in spec
    assert spec["rayClusterSpec"]["rayVersion"] == ray.__version__


def test_a_deliberate_mistake_is_seen(schemas: Schemas) -> None:
    job = rendered(CONFIG)
    job["spec"]["activeDeadlineSecond"] = 5
    job["spec"]["submitterPodTemplate"]["spec"]["containers"][0]["securityContext"] = {}
    assert any("activeDeadlineSecond" in str(f) for f in schemas.faults(job, where="x"))
    assert any("submitterPodTemplate" in str(f) for f in security.faults(job, where="x"))


def test_credentials_queue_and_accelerators_are_where_they_belong() -> None:
    gpu = load_preset(ClusterConfig, "cluster", "gpu")
    job = rendered(in_cluster(load_preset(RayJobConfig, "ray_job", "gpu"), gpu))
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "tastemaker"
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    worker = job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]
    limits = worker["containers"][0]["resources"]["limits"]
    assert limits["nvidia.com/gpu"] == "1"
    assert worker["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    ]
    assert "tolerations" not in head
    env = {e["name"]: e.get("valueFrom") for e in worker["containers"][0]["env"]}
    assert env["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"]["name"] == "tastemaker-object-store"
    assert env["TASTEMAKER_HOME"]["configMapKeyRef"]["optional"] is False
    claim = rendered(in_cluster(RayJobConfig(), ClusterConfig(home_claim="homes")))
    pod = claim["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert {"name": "home", "persistentVolumeClaim": {"claimName": "homes"}} in pod["volumes"]
    assert not any("valueFrom" in e for e in pod["containers"][0]["env"])


def test_names_and_settings_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="at most 47"):
        render_ray_job("x" * 48, COMMAND, CONFIG, namespace="runs", ray_version="2")
    with pytest.raises(ConfigError, match="no image"):
        rendered(RayJobConfig())
    with pytest.raises(ConfigError, match="must be less than"):
        load_preset(RayJobConfig, "ray_job", "default", ["start_deadline_s=90000"])
    monkeypatch.setenv(ENVIRONMENT, to_settings(CONFIG))
    assert RayJobConfig.from_environment() == CONFIG
    monkeypatch.setenv(ENVIRONMENT, "default")
    with pytest.raises(ConfigError, match="not JSON"):
        RayJobConfig.from_environment()
    monkeypatch.delenv(ENVIRONMENT)
    assert RayJobConfig.from_environment() is None


def test_success_with_its_log(
    server: ApiServer, api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [
        ("2026-11-28T12:00:01.45Z", "embed items 10%"),
        ("2026-11-28T12:00:01.5Z", "embed items 20%"),
        ("2026-11-28T12:00:02Z", "embed items 100%"),
    ]
    server.stages = [
        Stage(),
        Stage(status("Initializing")),
        Stage(status("Running", "RUNNING"), log=lines[:1]),
        Stage(status("Running", "RUNNING"), log=lines[:2]),
        Stage(status("Complete", "SUCCEEDED"), log=lines),
    ]
    run(api)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"Ray job runs/{NAME} submitted",
        f"Ray job {NAME}: new",
        f"Ray job {NAME}: Initializing",
        f"Ray job {NAME}: Running RUNNING",
        "  embed items 10%",
        "  embed items 20%",
        f"Ray job {NAME}: Complete SUCCEEDED",
        "  embed items 100%",
    ]
    assert server.requests == ["create rayjobs", f"delete {NAME}"]
    assert server.objects == {}


def test_a_worker_out_of_memory_is_named_though_its_pod_is_gone(
    server: ApiServer, api: KubernetesApi
) -> None:
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    dying = {"embed-worker-7": [container("ray-worker", state={"running": {}}, lastState=killed)]}
    log = [("2026-11-28T12:00:01Z", "ray.exceptions.OutOfMemoryError")]
    server.stages = [
        Stage(status("Running", "RUNNING"), pods=dying, log=log),
        Stage(status("Failed", "FAILED", reason="AppFailed", message="Job entrypoint failed")),
    ]
    with pytest.raises(TastemakerError) as caught:
        run(api)
    assert str(caught.value) == (
        f"Ray job runs/{NAME} failed: Failed/FAILED; AppFailed; Job entrypoint failed; "
        "embed-worker-7/ray-worker: OOMKilled (exit code 137)\n"
        "  | ray.exceptions.OutOfMemoryError"
    )
    assert len(server.objects) == 1  # stays, to be looked at


def test_a_job_past_its_deadline(server: ApiServer, api: KubernetesApi) -> None:
    late = status("Failed", reason="DeadlineExceeded", message="activeDeadlineSeconds 60")
    server.stages = [RUNNING, Stage(late)]
    with pytest.raises(TastemakerError, match="DeadlineExceeded; activeDeadlineSeconds 60"):
        run(api)


def test_an_operator_that_does_not_end_a_job(server: ApiServer, api: KubernetesApi) -> None:
    server.stages = [RUNNING]
    short = CONFIG.model_copy(update={"deadline_s": 0})
    with pytest.raises(TastemakerError, match="is the KubeRay operator running"):
        run(api, short, grace_s=0.2)


def test_time_in_a_queue_does_not_count(server: ApiServer, api: KubernetesApi) -> None:
    server.stages = [*[Stage(status("Suspended"))] * 30, DONE]
    run(api, CONFIG.model_copy(update={"deadline_s": 0}), grace_s=0.2)


def test_a_job_that_somebody_deletes(server: ApiServer, api: KubernetesApi) -> None:
    server.stages = [RUNNING, Stage(gone=True)]
    with pytest.raises(TastemakerError, match="deleted by someone while it was Running RUNNING"):
        run(api)


def test_an_api_server_that_restarts(server: ApiServer, api: KubernetesApi) -> None:
    server.stages = [RUNNING, Stage(RUNNING.status, log=[], away_s=1.0), RUNNING, DONE]
    run(api)
    assert server.requests == ["create rayjobs", f"delete {NAME}"]


def test_an_api_server_that_stays_away(api: KubernetesApi) -> None:
    api.core.api_client.configuration.host = "http://127.0.0.1:9"
    api.patience_s = 0.1
    with pytest.raises(ServiceError, match="no answer from the Kubernetes API"):
        run(api)


def test_a_step_that_is_tried_again_follows_its_job(
    server: ApiServer, api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert api.create(RAY_JOBS, "runs", rendered(CONFIG))
    server.stages = [RUNNING, RUNNING, DONE]
    run(api)
    assert "is under way already" in capsys.readouterr().err
    assert server.requests == ["create rayjobs", "create rayjobs", f"delete {NAME}"]


def test_a_job_that_failed_before_is_started_anew(
    server: ApiServer, api: KubernetesApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.create(RAY_JOBS, "runs", rendered(CONFIG))
    server.stages = [Stage(status("Failed", "FAILED")), RUNNING, DONE]
    run(api)
    assert "it is started anew" in capsys.readouterr().err
    assert server.requests[:3] == ["create rayjobs", "create rayjobs", f"delete {NAME}"]


def test_a_refusal_names_its_rule(server: ApiServer, api: KubernetesApi) -> None:
    server.forbidden = True
    with pytest.raises(ServiceError, match=r"403: rayjobs is forbidden.*lacks a role"):
        run(api)
    server.forbidden = False
    latest = CONFIG.model_copy(update={"image": "train:latest"})
    with pytest.raises(ServiceError, match=r"422: .*not pinned"):
        run(api, latest)


def test_sigterm_deletes_the_job(server: ApiServer, api: KubernetesApi) -> None:
    server.stages = [RUNNING]
    before = signal.getsignal(signal.SIGTERM)  # Ray, in an earlier test, leaves one of its own

    def stop_the_step() -> None:
        while not server.objects:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_the_step).start()
    with pytest.raises(SystemExit):
        run(api)
    assert server.objects == {}
    assert server.requests[-1] == f"delete {NAME}"
    assert signal.getsignal(signal.SIGTERM) == before
