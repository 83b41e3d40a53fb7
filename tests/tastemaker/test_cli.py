"""What `tastemaker up --check` says before `make up` trains anything."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tastemaker.cli import app
from tastemaker.core.errors import ConfigError, ServiceError
from tastemaker.serving.model_services import ports


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path / "home"))


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that the tests' own process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def check(*words: str) -> Any:
    return CliRunner().invoke(app, ["up", "--check", *words])


@pytest.mark.parametrize("port", ["0", "65532", "70000"])
def test_a_port_that_leaves_no_room_for_the_others(port: str) -> None:
    found = check("--port", port).exception
    assert isinstance(found, ConfigError)
    assert f"port={port}" in str(found)


def test_a_port_that_somebody_has_is_named_with_its_holder(taken: int) -> None:
    for first in (taken, taken - 2):
        found = check("--port", str(first)).exception
        assert isinstance(found, ServiceError)
        name = {port: name for name, port in ports(first).items()}[taken]
        assert f"port {taken}, which {name} needs, is in use by pid" in str(found)


def test_a_preset_that_is_none_is_refused() -> None:
    assert "nosuch" in str(check("--preset", "nosuch").exception)


def test_free_ports_are_said_by_silence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    done = check("--port", str(free))
    assert (done.exit_code, done.output) == (0, "")
