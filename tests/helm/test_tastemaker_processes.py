"""The chart's commands run as they are rendered: Redis, Feast's server, MLflow."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.helm.tastemaker_objects import of_kind, variant

pytestmark = pytest.mark.slow
BIN = Path(sys.executable).parent


def container(kind: str, name: str) -> dict[str, Any]:
    (found,) = [o for o in of_kind(variant("default"), kind) if o["metadata"]["name"] == name]
    first: dict[str, Any] = found["spec"]["template"]["spec"]["containers"][0]
    return first


def data(name: str, key: str) -> str:
    (found,) = [
        o for o in of_kind(variant("default"), "ConfigMap") if o["metadata"]["name"] == name
    ]
    return str(found["data"][key])


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(command: Sequence[str], folder: Path, **env: str) -> Iterator[subprocess.Popen]:
    """A process with little but its own variables, in a group of its own."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), **env}
    process = subprocess.Popen(command, cwd=folder, env=variables, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answered(process: subprocess.Popen, url: str, **headers: str) -> int:
    """Status of the first answer."""
    for _ in range(360):
        assert process.poll() is None, "it ended"
        try:
            return httpx.get(url, headers=headers, timeout=5).status_code
        except httpx.TransportError:
            time.sleep(0.5)
    raise AssertionError(f"{url} does not answer")


@contextmanager
def running_redis(folder: Path, port: int) -> Iterator[subprocess.Popen]:
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not on PATH")
    (folder / "data").mkdir(parents=True, exist_ok=True)
    text = data("tastemaker-redis", "redis.conf").replace("dir /data", f"dir {folder}/data")
    (folder / "redis.conf").write_text(text.replace("port 6379", f"port {port}"))
    one = container("StatefulSet", "tastemaker-redis")
    script = one["args"][0].replace("/etc/redis/redis.conf", str(folder / "redis.conf"))
    with running([*one["command"], script], folder, REDISCLI_AUTH="s3 cret") as process:
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield process


def test_redis_asks_for_its_password_keeps_its_data_and_stops_when_told(tmp_path: Path) -> None:
    port = free_port()
    with running_redis(tmp_path, port) as server:
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=port).ping()
        client = redis.Redis(port=port, password="s3 cret")
        assert client.set("a", "1")
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("maxmemory") == {"maxmemory": str(3 << 30)}
        arguments = Path(f"/proc/{server.pid}/cmdline").read_bytes()
        assert b"redis-server" in arguments
        assert b"cret" not in arguments
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=20) == 0
    with running_redis(tmp_path, port):
        assert redis.Redis(port=port, password="s3 cret").get("a") == b"1"


def test_the_feature_server_starts_on_an_empty_registry(tmp_path: Path) -> None:
    redis_port, port = free_port(), free_port()
    text = data("tastemaker-features", "feature_store.yaml")
    file = tmp_path / "feature_store.yaml"
    file.write_text(text.replace("tastemaker-redis:6379", f"127.0.0.1:{redis_port}"))
    one = container("Deployment", "tastemaker-features")
    command = [str(BIN / "feast"), "-f", str(file), "serve"]
    assert one["command"] == ["feast", "-f", "/etc/tastemaker/feature_store.yaml", "serve"]
    own = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=6566": f"--port={port}"}
    command += [own.get(arg, arg) for arg in one["args"] if arg != "--metrics"]  # a fixed port
    path = one["readinessProbe"]["httpGet"]["path"]
    variables = {
        "FEATURE_REGISTRY_URL": f"sqlite:///{tmp_path}/registry.db",
        "REDIS_PASSWORD": "s3 cret",
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    with (
        running_redis(tmp_path / "redis", redis_port),
        running(command, tmp_path, **variables) as server,
    ):
        assert answered(server, f"http://127.0.0.1:{port}{path}") == 200


def test_mlflow_answers_by_its_services_name_alone(tmp_path: Path) -> None:
    port = free_port()
    one = container("Deployment", "tastemaker-mlflow")
    own = {"--host=0.0.0.0": "--host=127.0.0.1", "--port=5000": f"--port={port}"}
    arguments = [
        f"--artifacts-destination={tmp_path}/artifacts" if "artifacts" in arg else own.get(arg, arg)
        for arg in one["args"]
    ]
    variables = {
        "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db",
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }
    command = [str(BIN / "mlflow"), "server", *arguments]
    with running(command, tmp_path, **variables) as server:
        base = f"http://127.0.0.1:{port}"
        assert answered(server, base + one["readinessProbe"]["httpGet"]["path"]) == 200
        asked = f"{base}/api/2.0/mlflow/experiments/get?experiment_id=0"
        for host in ("tastemaker-mlflow:5000", "tastemaker-mlflow.assistant.svc.cluster.local:5000"):  # fmt: skip # noqa: E501
            assert httpx.get(asked, headers={"host": host}, timeout=60).status_code == 200, host
        assert httpx.get(asked, headers={"host": "evil.example"}, timeout=60).status_code == 403
