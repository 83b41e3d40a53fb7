import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tastemaker.assistant.key_commands import app
from tastemaker.assistant.keys import KeyStore
from tastemaker.core.database import open_database
from tastemaker.core.errors import ConfigError


def test_a_key_is_printed_once_listed_and_revoked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_HOME", str(tmp_path))
    run = CliRunner().invoke
    made = run(app, ["create", "web", "--user", "ada", "--days", "30", "--cents-per-day", "5"])
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()
    assert re.fullmatch(r"tmk_[0-9a-f]{16}_[\w-]{43}", key)
    assert "only its hash is stored" in made.stderr
    assert run(app, ["create", "ops", "--role", "operator", "--role", "service"]).exit_code == 0

    store = KeyStore(open_database(f"sqlite:///{tmp_path}/run/assistant.db"))
    found = store.find(key)
    assert found is not None
    assert (found.user_id, found.cents_per_day) == ("ada", 5)
    assert found.expires_ms == found.created_ms + 30 * 86_400_000

    listed = run(app, ["list"]).stdout
    assert "user ada  60 a minute, 5 cents a day  expires " in listed
    assert "operator, service  60 a minute, 100 cents a day  never expires" in listed
    assert key[21:] not in listed
    assert "revoked" in run(app, ["revoke", "web"]).stdout
    again = store.find(key)
    assert again is not None
    assert again.revoked_ms is not None


def test_a_wrong_role_is_refused_and_another_database_can_be_named(tmp_path: Path) -> None:
    url = ["--database", f"sqlite:///{tmp_path}/other.db"]
    wrong = CliRunner().invoke(app, ["create", "x", "--role", "king", *url])
    assert isinstance(wrong.exception, ConfigError)
    assert (tmp_path / "other.db").exists()
