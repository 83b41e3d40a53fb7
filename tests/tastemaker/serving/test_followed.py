"""The reconciler's view of the promotion repository: followed, lost, found again."""

from pathlib import Path

import pytest

from tastemaker.core.home import Home
from tastemaker.promotion import checkout
from tastemaker.promotion.environment import get_live
from tastemaker.promotion.model_file import Live
from tastemaker.promotion.repository import open_repository
from tastemaker.serving import state
from tastemaker.serving.control import _look_at_repository
from tastemaker.serving.followed import LOCAL_S, REMOTE_S, Followed
from tests.tastemaker.promotion.shop import write_live

ONE = Live("1" * 16, "d" * 16, "5" * 16)
TWO = Live("2" * 16, "d" * 16, "5" * 16)


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The home whose repository is the remote of another."""
    for name in ("TASTEMAKER_GIT", "TASTEMAKER_GIT_BRANCH", "TASTEMAKER_MANIFESTS"):
        monkeypatch.delenv(name, raising=False)
    source = Home.open(str(tmp_path / "source"))
    write_live(source, "local", "router", ONE)
    return source


def test_the_own_repository_is_followed(source: Home) -> None:
    told: list[str] = []
    followed = Followed(source, told.append)
    followed.look()
    commit = open_repository(source).fetch()
    assert followed.commit == commit
    followed.look()
    assert told == [f"repository {source.root}/git/manifests.git (main) at {commit[:12]}"]
    assert followed._every_s == LOCAL_S


def test_a_remote_that_is_down_is_said_and_what_was_live_stays(
    source: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    remote = open_repository(source).git.folder
    home = Home.open(str(tmp_path / "home"))
    monkeypatch.setenv("TASTEMAKER_GIT", f"file://{remote}")
    told: list[str] = []
    followed = Followed(home, told.append)
    followed.look()
    first = followed.commit
    assert get_live(home, "local", "router") == ONE
    assert followed._every_s == REMOTE_S
    away = remote.rename(remote.with_name("away.git"))
    followed.look()
    assert f"at {first[:12]} is not followed: git fetch" in followed.summary()
    assert get_live(home, "local", "router") == ONE
    _look_at_repository(home)  # `up` goes on with what was live last
    assert "does not answer" in capsys.readouterr().err
    away.rename(remote)
    monkeypatch.delenv("TASTEMAKER_GIT")
    write_live(source, "local", "router", TWO)
    monkeypatch.setenv("TASTEMAKER_GIT", f"file://{remote}")
    followed.look()
    assert get_live(home, "local", "router") == TWO
    assert followed.problem == ""
    assert len(told) == 3


def test_a_folder_that_somebody_keeps_is_not_followed(
    source: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_MANIFESTS", str(tmp_path))
    followed = Followed(source, lambda line: None)
    followed.look()
    assert followed.summary() == f"repository {tmp_path}"
    assert checkout.update(source).commit == ""


def test_status_shows_it() -> None:
    content = {"servers": [], "pid": 1, "started": 0.0, "outcome": "", "repository": "repository x"}
    assert state.table(content).splitlines()[-1] == "repository x"
