"""The few paths of a Kubernetes API that jobs use, over real HTTP.

What is created is held to the CRD's schema and to the restricted baseline, as an API server with
strict validation and Pod Security admission would; names are unique, each change counts up
`resourceVersion`. A test plays the operator: `stages` are the statuses that a RayJob goes
through, one more at each look.
"""

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import yaml
from kubernetes import client
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tastemaker.deployment import security
from tastemaker.deployment.schemas import Schemas
from tastemaker.jobs.kubernetes_api import KubernetesApi


@dataclass
class Stage:
    """What a look at the RayJob finds.

    Attributes:
        status: Of the RayJob.
        pods: Container statuses by pod of its Ray cluster.
        log: The submitter's log so far: (time, line); None: it has not started.
        gone: The job was deleted by someone.
        away_s: The API server then restarts and is away so long.
    """

    status: dict[str, Any] = field(default_factory=dict)
    pods: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    log: list[tuple[str, str]] | None = None
    gone: bool = False
    away_s: float = 0


@dataclass
class ApiServer:
    """State of the server, which takes what the schemas allow."""

    schemas: Schemas
    stages: list[Stage] = field(default_factory=list)
    objects: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    forbidden: bool = False
    version: int = 0
    at: int = -1
    port: int = 0
    restart_after: float = 0

    @property
    def stage(self) -> Stage:
        return self.stages[min(max(self.at, 0), len(self.stages) - 1)] if self.stages else Stage()

    def app(self) -> Starlette:
        custom = "/apis/{group}/{version}/namespaces/{namespace}/{plural}"
        pods = "/api/v1/namespaces/{namespace}/pods"
        return Starlette(
            routes=[
                Route(custom, self.create, methods=["POST"]),
                Route(custom + "/{name}", self.get, methods=["GET"]),
                Route(custom + "/{name}", self.delete, methods=["DELETE"]),
                Route(pods, self.list_pods, methods=["GET"]),
                Route(pods + "/{name}/log", self.log, methods=["GET"]),
            ]
        )

    async def create(self, request: Request) -> Response:
        at, document = request.path_params, await request.json()
        self.requests.append(f"create {at['plural']}")
        if self.forbidden:
            return refusal(403, f"{at['plural']} is forbidden: User cannot create resource")
        name = document["metadata"]["name"]
        faults = self.schemas.faults(document, where=name)
        faults += security.faults(document, where=name)
        if document["metadata"].get("namespace", at["namespace"]) != at["namespace"]:
            return refusal(400, "the namespace of the object does not match the request")
        if faults:
            return refusal(422, "; ".join(map(str, faults)))
        key = (at["namespace"], at["plural"], name)
        if key in self.objects:
            return refusal(409, f'{at["plural"]} "{name}" already exists')
        self.objects[key] = self._stamped(document)
        return JSONResponse(self.objects[key], status_code=201)

    async def get(self, request: Request) -> Response:
        at = request.path_params
        key = (at["namespace"], at["plural"], at["name"])
        self.at += 1
        if self.stage.gone:
            self.objects.pop(key, None)
        if key not in self.objects:
            return refusal(404, f'{at["plural"]} "{at["name"]}" not found')
        if at["plural"] == "rayjobs" and self.stage.status:
            self.objects[key] = self._stamped({**self.objects[key], "status": self.stage.status})
            assert not self.schemas.faults(self.objects[key], where="status")
        if self.stage.away_s:
            self.restart_after = self.stage.away_s
        return JSONResponse(self.objects[key])

    async def delete(self, request: Request) -> Response:
        at = request.path_params
        self.requests.append(f"delete {at['name']}")
        assert request.query_params["propagationPolicy"] == "Background"
        if self.objects.pop((at["namespace"], at["plural"], at["name"]), None) is None:
            return refusal(404, "not found")
        return JSONResponse({"kind": "Status", "status": "Success"})

    async def list_pods(self, request: Request) -> Response:
        label, _, value = request.query_params["labelSelector"].partition("=")
        if label == "batch.kubernetes.io/job-name":
            found = [] if self.stage.log is None else [pod(f"{value}-abcde", [])]
        else:
            assert (label, value) == ("ray.io/cluster", self.stage.status["rayClusterName"])
            found = [pod(name, statuses) for name, statuses in self.stage.pods.items()]
        return JSONResponse({"kind": "PodList", "apiVersion": "v1", "items": found})

    async def log(self, request: Request) -> Response:
        assert request.query_params["timestamps"] == "True"
        if self.stage.log is None:
            return refusal(400, "container is waiting to start: ContainerCreating")
        return PlainTextResponse("".join(f"{at} {line}\n" for at, line in self.stage.log))

    def _stamped(self, document: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        meta = {**document["metadata"], "resourceVersion": str(self.version)}
        return {**document, "metadata": meta}


def pod(name: str, statuses: list[dict[str, Any]]) -> dict[str, Any]:
    meta = {"name": name, "creationTimestamp": "2026-11-28T12:00:00Z"}
    return {"metadata": meta, "spec": {"containers": []}, "status": {"containerStatuses": statuses}}


def container(name: str, **state: Any) -> dict[str, Any]:
    whole = {"image": "i", "imageID": "i", "ready": False, "restartCount": 1}
    return {"name": name, **whole, **state}


def refusal(code: int, message: str) -> JSONResponse:
    return JSONResponse({"kind": "Status", "code": code, "message": message}, status_code=code)


@contextmanager
def serving(server: ApiServer) -> Iterator[KubernetesApi]:
    """Serve on loopback, away for a while where a stage says so; gives a client of it."""
    stop = threading.Event()
    thread = threading.Thread(target=_run, args=(server, stop))
    thread.start()
    try:
        while not server.port:
            time.sleep(0.01)
        made = client.Configuration(host=f"http://127.0.0.1:{server.port}")
        made.retries = 0
        yield KubernetesApi(client.ApiClient(made), "runs", patience_s=20, pause_s=0.05)
    finally:
        stop.set()
        thread.join()


def _run(server: ApiServer, stop: threading.Event) -> None:
    while not stop.is_set():
        config = uvicorn.Config(
            server.app(), host="127.0.0.1", port=server.port, log_level="critical"
        )
        running = uvicorn.Server(config)
        inner = threading.Thread(target=running.run)
        inner.start()
        while not running.started:
            time.sleep(0.01)
        server.port = running.servers[0].sockets[0].getsockname()[1]
        while not stop.is_set() and not server.restart_after:
            time.sleep(0.01)
        running.should_exit = running.force_exit = True
        inner.join()
        time.sleep(server.restart_after)
        server.restart_after = 0


def operate(server: ApiServer, address: str) -> None:
    """Be the operator: run the job's command in the Ray cluster, then say how it ended."""
    while not server.objects:
        time.sleep(0.05)
    ((_, job),) = server.objects.items()
    python, *rest = shlex.split(job["spec"]["entrypoint"])
    assert python == "python"
    done = subprocess.run([sys.executable, *rest], env={**os.environ, "RAY_ADDRESS": address})
    ended = ("Failed", "FAILED") if done.returncode else ("Complete", "SUCCEEDED")
    server.stages = [Stage({"jobDeploymentStatus": ended[0], "jobStatus": ended[1]})]


def kubeconfig(file: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    server = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}
    context = {"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "runs"}}
    content = {"apiVersion": "v1", "kind": "Config", "current-context": "x"}
    users = [{"name": "u", "user": {"token": "t"}}]
    file.write_text(
        yaml.safe_dump({**content, "clusters": [server], "contexts": [context], "users": users})
    )
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
