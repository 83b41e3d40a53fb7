"""The whole chain once, on the tiny preset: killed on its way, resumed, served."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Chain:
    """A finished chain in a home of its own.

    Attributes:
        home: Its folder.
        first: Output of the run that was killed.
        second: Output of the run that finished.
    """

    home: Path
    first: str
    second: str

    def tastemaker(self, *words: str, timeout_s: float = 600) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tastemaker.cli", *words],
            cwd=ROOT,
            env=environment(self.home),
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def live(self, model: str) -> dict[str, str]:
        import yaml

        found: dict[str, str] = yaml.safe_load(
            (self.home / "checkout/current/models/local" / f"{model}.yaml").read_text()
        )
        return found

    def metrics(self, bundle: str) -> dict[str, float]:
        found: dict[str, float] = json.loads(
            next((self.home / "evaluations" / bundle).glob("*/metrics.json")).read_text()
        )
        return found


def environment(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "TASTEMAKER_HOME": str(home), "PYTHONUNBUFFERED": "1"}


def start_pipeline(home: Path, log: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tastemaker.cli", "pipeline", "run", "full_stack"]
    return subprocess.Popen(
        [*command, "--preset", "tiny"],
        cwd=ROOT,
        env=environment(home),
        stdout=log.open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def wait_for(log: Path, text: str, process: subprocess.Popen[bytes], timeout_s: float) -> None:
    end = time.monotonic() + timeout_s
    while text not in log.read_text():
        assert process.poll() is None, f"ended before {text!r}:\n{log.read_text()[-3000:]}"
        assert time.monotonic() < end, f"no {text!r} in {timeout_s} s:\n{log.read_text()[-3000:]}"
        time.sleep(0.2)


def free_port() -> int:
    """The first of five free ports in a row."""
    for port in range(18400, 28000, 10):
        try:
            for offset in range(5):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + offset))
        except OSError:
            continue
        return port
    raise RuntimeError("no free ports")


@pytest.fixture(scope="session")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    home = tmp_path_factory.mktemp("chain") / "home"
    home.mkdir()
    first, second = home.parent / "first.log", home.parent / "second.log"
    process = start_pipeline(home, first)
    wait_for(first, "== train-router", process, timeout_s=420)
    time.sleep(5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process = start_pipeline(home, second)
    assert process.wait(timeout=1200) == 0, second.read_text()[-4000:]
    return Chain(home, first.read_text(), second.read_text())


@pytest.fixture(scope="session")
def served(chain: Chain) -> Iterator[tuple[Chain, int]]:
    """The chain's models, live: (chain, port of the page)."""
    port = free_port()
    started = chain.tastemaker("up", "--port", str(port))
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield chain, port
    finally:
        chain.tastemaker("down")
        logs = chain.home / "run" / "logs"
        if target := os.environ.get("TASTEMAKER_TEST_LOGS"):
            shutil.copytree(logs, target, dirs_exist_ok=True)
