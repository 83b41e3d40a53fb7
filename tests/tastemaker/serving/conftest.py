"""A home with small trained models, made once a session, and real server processes on it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tastemaker.core.config import load_preset
from tastemaker.core.home import Home


@dataclass(frozen=True)
class Models:
    """Digests of a small chain, without a router."""

    home: Home
    dataset: str
    encoder: str
    index: str
    sequence: str


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_answers(
    url: str, process: subprocess.Popen[bytes], log: Path, timeout_s: float
) -> None:
    until = time.monotonic() + timeout_s
    while True:
        assert process.poll() is None, (
            f"ended with {process.returncode}:\n{log.read_text()[-3000:]}"
        )
        assert time.monotonic() < until, f"no answer in {timeout_s} s:\n{log.read_text()[-3000:]}"
        try:
            if httpx.get(url, timeout=2, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    from tastemaker.jobs import (
        build_index,
        curate,
        precompute_embeddings,
        simulate_users,
        train_encoder,
        train_sequence,
    )
    from tastemaker.jobs.full_stack import STEPS, config_of

    home = Home.open(str(tmp_path_factory.mktemp("models") / "home"))

    def tiny(step: str):  # type: ignore[no-untyped-def]
        return load_preset(config_of(step), STEPS[step][0], "tiny")

    dataset = curate.run(home, "demo", tiny("curate"))
    dataset = simulate_users.run(home, dataset, tiny("simulate_users"))
    encoder = train_encoder.run(home, dataset, tiny("train_encoder"))
    dataset = precompute_embeddings.run(home, dataset, encoder, tiny("precompute_embeddings"))
    index = build_index.run(home, dataset, encoder, tiny("build_index"))
    sequence = train_sequence.run(home, dataset, encoder, tiny("train_sequence"))
    return Models(home, dataset, encoder, index, sequence)


@pytest.fixture(scope="session")
def servers(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Addresses of the three KServe servers by model."""
    logs = tmp_path_factory.mktemp("logs")
    started: dict[str, tuple[int, subprocess.Popen[bytes]]] = {}
    bundles = {
        "encoder": models.encoder,
        "retrieval": models.index,
        "recommender": models.sequence,
    }
    for name, bundle in bundles.items():
        port = free_port()
        words = ["--model-dir", str(models.home.path("bundles", bundle)), "--http-port", str(port)]
        started[name] = (port, start_server(name, words, logs / name))
    try:
        for name, (port, process) in started.items():
            url = f"http://127.0.0.1:{port}/v1/models/{name}"
            wait_until_answers(url, process, logs / name, timeout_s=180)
        yield {name: f"http://127.0.0.1:{port}" for name, (port, _) in started.items()}
    finally:
        for _, process in started.values():
            process.terminate()
        codes = {name: process.wait(30) for name, (_, process) in started.items()}
    assert codes == dict.fromkeys(bundles, 0)
    assert "Traceback" not in "".join((logs / name).read_text() for name in bundles)


def start_server(name: str, words: list[str], log: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", f"tastemaker.serving.{name}_server", *words],
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
