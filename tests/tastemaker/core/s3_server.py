"""Real S3 servers for tests: rclone (checks keys, no conditional PUT), and one that has it."""

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tastemaker.core.object_store import ObjectStore
from tastemaker.core.s3_settings import S3Settings

ROOT = Path(__file__).parents[3]
BUCKET = "bucket"


@dataclass(frozen=True)
class Server:
    """A running server; `environment` is what a process needs to reach it."""

    url: str
    environment: dict[str, str]

    def set(self, patch: pytest.MonkeyPatch, cache: Path) -> str:
        """Point this process at it; returns the location of an empty home."""
        for name, value in self.of(cache).items():
            patch.setenv(name, value)
        return self.environment["TASTEMAKER_HOME"]

    def of(self, cache: Path) -> dict[str, str]:
        """Variables of a process with its own cache."""
        return {**self.environment, "TASTEMAKER_CACHE": str(cache)}

    def store(self, patch: pytest.MonkeyPatch) -> ObjectStore:
        """A client of it."""
        for name, value in self.environment.items():
            patch.setenv(name, value)
        return ObjectStore(S3Settings.of(self.environment["TASTEMAKER_HOME"]))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def rclone(folder: Path, port: int | None = None) -> Iterator[Server]:
    """A server over `folder/bucket` that checks its one pair of keys."""
    (folder / BUCKET).mkdir(parents=True, exist_ok=True)
    command = f"{Path(sys.executable).parent / 'rclone'} serve s3 --auth-key KEY,SECRET"
    with _running(f"{command} --addr 127.0.0.1:{{port}} {folder}", folder, port) as server:
        yield server


@contextmanager
def conditional(folder: Path) -> Iterator[Server]:
    """A server that honours conditional PUT, where there is one.

    Its command, with {port} in it, is TASTEMAKER_S3_SERVER; else `.venv-s3` of this checkout.
    """
    own = ROOT / ".venv-s3" / "bin" / "moto_server"
    command = os.environ.get("TASTEMAKER_S3_SERVER", "")
    if not command and not own.is_file():
        pytest.skip("no S3 server with conditional PUT: set TASTEMAKER_S3_SERVER or make .venv-s3")
    with _running(command or f"{own} -H 127.0.0.1 -p {{port}}", folder) as server:
        yield server


@contextmanager
def _running(command: str, folder: Path, port: int | None = None) -> Iterator[Server]:
    port = port or free_port()
    with (folder / "server.log").open("w") as log:
        words = shlex.split(command.replace("{port}", str(port)))
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        _wait(port, process)
        yield _server(port)
    finally:
        process.kill()
        process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("the S3 server did not start")


def _server(port: int) -> Server:
    url = f"http://127.0.0.1:{port}"
    environment = {
        "TASTEMAKER_HOME": f"s3://{BUCKET}/some/home",
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "KEY",
        "AWS_SECRET_ACCESS_KEY": "SECRET",
        "AWS_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        client = ObjectStore(S3Settings.of(environment["TASTEMAKER_HOME"])).client
    if not client.bucket_exists(BUCKET):
        client.make_bucket(BUCKET)
    return Server(url, environment)
