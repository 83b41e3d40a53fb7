from pathlib import Path

import pytest
from typer.testing import CliRunner

from tastemaker.core.errors import ConfigError, NotFound
from tastemaker.jobs.home_commands import app
from tests.tastemaker.core.s3_server import conditional, rclone


def test_check_describes_a_folder(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert done.exit_code == 0
    assert f"home             {tmp_path}" in done.output
    assert "GiB" in done.output


def test_check_fails_where_tables_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rclone(tmp_path / "server") as server:
        location = server.set(monkeypatch, tmp_path / "cache")
        done = CliRunner().invoke(app, ["check"])
    assert done.exit_code == 1
    for line in (location, server.url, "accepted (access key)", "no: tables cannot be written"):
        assert line in done.output
    assert "SECRET" not in done.output


@pytest.mark.slow
def test_check_of_a_server_with_conditional_put(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with conditional(tmp_path) as server:
        server.set(monkeypatch, tmp_path / "cache")
        done = CliRunner().invoke(app, ["check"])
    assert done.exit_code == 0
    assert "conditional PUT  yes" in done.output


def test_check_names_the_setting_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rclone(tmp_path / "server") as server:
        server.set(monkeypatch, tmp_path / "cache")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OTHER")
        done = CliRunner().invoke(app, ["check"])
    assert isinstance(done.exception, ConfigError)
    assert "AWS_ACCESS_KEY_ID='OTHER'" in str(done.exception)


def test_copy_must_be_told_what(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["copy", str(tmp_path / "a"), str(tmp_path / "b")])
    assert isinstance(done.exception, ConfigError)
    missing = ["copy", str(tmp_path / "a"), str(tmp_path / "b"), "--bundle", "0123456789abcdef"]
    assert isinstance(CliRunner().invoke(app, missing).exception, NotFound)
