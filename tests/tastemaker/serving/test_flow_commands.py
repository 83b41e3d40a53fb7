"""What `tastemaker flows` refuses and says before any server is started."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tastemaker.cli import app
from tastemaker.core.errors import ConfigError, ServiceError
from tastemaker.core.home import Home
from tastemaker.serving import flow_server, processes


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    return Home.open()


def flows(*words: str) -> Any:
    return CliRunner().invoke(app, ["flows", *words])


def test_nothing_runs_and_nothing_is_stopped(home: Home) -> None:
    assert flows("status").output.strip() == "not running"
    assert flows("down").output.strip() == "nothing was running"


def test_what_cannot_be_is_refused_before_anything_starts(home: Home) -> None:
    assert "unknown flows preset 'huge'" in str(flows("up", "--preset", "huge").exception)
    assert isinstance(flows("up", "--port", "0").exception, ConfigError)
    told = flows("tell", "new-events").exception
    assert isinstance(told, ServiceError)
    assert "flows up" in str(told)


def test_processes_that_ended_are_told_from_those_that_run(home: Home) -> None:
    own = processes.identity(os.getpid())
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert own
    parts = {
        "server": {"pid": own.pid, "started": own.started},
        "flows": {"pid": ended.pid, "started": 1},
    }
    content = {"port": 1, "preset": "default", "processes": parts}
    home.path("run", "prefect", "processes.json").write_text(json.dumps(content))
    running = flow_server.read(home)
    assert running
    assert running.alive("server")
    assert not running.alive("flows")
    assert running.api == "http://127.0.0.1:1/api"


def test_a_server_of_here_keeps_to_itself(home: Home) -> None:
    variables = flow_server.environment(home, 8420)
    assert variables["PREFECT_API_URL"] == "http://127.0.0.1:8420/api"
    assert variables["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert variables["DO_NOT_TRACK"] == "1"
    assert variables["PREFECT_HOME"].startswith(str(home.root))
    assert variables["PREFECT_PROFILES_PATH"].startswith(str(home.root))
