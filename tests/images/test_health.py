"""The health script against real servers and folders."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from images import health


class Handler(BaseHTTPRequestHandler):
    """/ready answers 200, everything else 503."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_server_is_healthy_when_its_path_answers_200(server: str) -> None:
    assert health.fault(f"{server}/ready", ()) == ""
    assert "503" in health.fault(f"{server}/loading", ())


def test_a_server_that_is_gone_is_named() -> None:
    assert "http://127.0.0.1:9/ready" in health.fault("http://127.0.0.1:9/ready", ())


def test_a_job_is_healthy_while_its_folders_can_be_written(tmp_path: Path) -> None:
    assert health.fault("", (str(tmp_path),)) == ""
    assert "nothing-here" in health.fault("", (str(tmp_path / "nothing-here"),))


def test_the_script_says_why_it_fails(tmp_path: Path) -> None:
    command = [sys.executable, health.__file__]
    good = subprocess.run(command, env=os.environ | {"HOME": str(tmp_path)}, check=False)
    assert good.returncode == 0
    gone = os.environ | {"TASTEMAKER_HEALTH_URL": "http://127.0.0.1:9/"}
    bad = subprocess.run(command, env=gone, capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert "127.0.0.1:9" in bad.stderr
