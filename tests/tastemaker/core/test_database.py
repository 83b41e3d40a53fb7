from pathlib import Path

import pytest
from sqlalchemy import text

from tastemaker.core.database import open_database
from tastemaker.core.errors import ConfigError


def test_a_committed_row_is_there_for_the_next_process(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/deep/a.db"
    with open_database(url).begin() as connection:
        connection.execute(text("create table t (x int)"))
        connection.execute(text("insert into t values (7)"))
    with open_database(url).connect() as connection:
        assert connection.execute(text("select x from t")).scalar_one() == 7
        assert connection.execute(text("pragma journal_mode")).scalar_one() == "wal"


def test_a_wrong_url_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be opened"):
        open_database("no url")
    with pytest.raises(ConfigError) as caught:
        open_database("nosuch://me:hunter2@host/db")
    assert "hunter2" not in str(caught.value)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ConfigError, match=r"file/a\.db"):
        open_database(f"sqlite:///{blocked}/a.db")
