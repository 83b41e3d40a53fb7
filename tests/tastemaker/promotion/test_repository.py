"""Where promotions go: the home's own repository, or a remote with a clone of it."""

import os
import subprocess
from pathlib import Path

import pytest

from tastemaker.core.errors import ConfigError, GitError
from tastemaker.core.home import Home
from tastemaker.promotion import checkout, git, repository
from tastemaker.promotion.environment import get_live
from tastemaker.promotion.model_file import Live
from tastemaker.promotion.repository import open_repository
from tests.tastemaker.promotion.shop import write_live

ONE = Live("1" * 16, "d" * 16, "5" * 16)
TWO = Live("2" * 16, "d" * 16, "5" * 16)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    for name in ("TASTEMAKER_GIT", "TASTEMAKER_GIT_BRANCH", "TASTEMAKER_MANIFESTS"):
        monkeypatch.delenv(name, raising=False)
    return Home.open(str(tmp_path / "home"))


def test_the_own_repository_trusts_the_homes_key_and_checks_pushes(home: Home) -> None:
    found = open_repository(home)
    assert found.git.changed("", found.fetch()) == ["manifests/keys/home.pub"]
    hook = found.git.folder / "hooks" / "pre-receive"
    assert os.access(hook, os.X_OK)
    assert "tastemaker.promotion.pre_receive --branch main" in hook.read_text()
    assert found.git.text("fsck", "--strict") == ""
    hook.unlink()
    assert open_repository(home) == found
    assert os.access(hook, os.X_OK)


def test_a_users_git_configuration_changes_nothing(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-push").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-push").chmod(0o755)
    config = f"[core]\n\thooksPath = {hooks}\n\tautocrlf = true\n[commit]\n\tgpgSign = true\n"
    (tmp_path / ".gitconfig").write_text(config)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    found = open_repository(home)
    commit = found.git.commit(found.fetch(), {"README": "line\r\n"}, "One\n")
    found.git.push(found.remote, commit, "main", found.fetch())
    assert found.git.read(found.fetch(), "README") == "line\r\n"


def test_a_home_from_before_keeps_what_is_live(home: Home) -> None:
    path = home.path("manifests", "models", "local", "router.yaml")
    path.write_text(
        f'# ours\nbundle: "{ONE.bundle}"\ndataset: "{ONE.dataset}"\nspace: "{"5" * 16}"'
    )
    assert get_live(home, "local", "router") == ONE
    assert "# ours" in (home.root / "checkout/current/models/local/router.yaml").read_text()
    found = open_repository(home)
    assert "no evidence" in found.git.message(found.fetch())


@pytest.mark.parametrize(
    ("url", "branch"),
    [
        ("--upload-pack=touch /tmp/x", ""),
        ("ext::sh -c true", ""),
        ("/tmp/x", "--force"),
        ("/tmp/x", "a..b"),
        ("/tmp/x", "a b"),
        ("/tmp/x", "refs/../x.lock"),
    ],
)
def test_what_git_would_take_for_something_else_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch, url: str, branch: str
) -> None:
    monkeypatch.setenv("TASTEMAKER_GIT", url)
    monkeypatch.setenv("TASTEMAKER_GIT_BRANCH", branch)
    with pytest.raises(ConfigError, match="TASTEMAKER_GIT"):
        open_repository(home)


def test_credentials_of_an_address_are_not_shown() -> None:
    said = git.without_credentials("fatal: https://ada:secret@example.com/x.git not found")
    assert said == "fatal: https://example.com/x.git not found"


def remote_of(folder: Path) -> Path:
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    return folder


def test_a_remote_is_followed_and_its_absence_told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = remote_of(tmp_path / "remote.git")
    monkeypatch.setenv("TASTEMAKER_GIT", f"file://{remote}")
    assert open_repository(home).fetch() == ""
    assert checkout.update(home).commit == "empty"
    source = Home.open(str(tmp_path / "source"))
    monkeypatch.delenv("TASTEMAKER_GIT")
    write_live(source, "local", "router", ONE)
    own = open_repository(source)
    own.git.push(str(remote), own.fetch(), "main", "")
    monkeypatch.setenv("TASTEMAKER_GIT", f"file://{remote}")
    first = checkout.update(home)
    assert get_live(home, "local", "router") == ONE
    remote.rename(tmp_path / "away")
    with pytest.raises(GitError, match="fetch"):
        checkout.update(home)
    assert checkout.current(home) == first
    assert get_live(home, "local", "router") == ONE


def test_an_answer_that_does_not_come_is_not_waited_for(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "ssh"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(slow))
    monkeypatch.setenv("TASTEMAKER_GIT", "git@example.com:x/y.git")
    monkeypatch.setattr(git, "NETWORK_S", 0.5)
    with pytest.raises(GitError, match="no answer in"):
        checkout.update(home)


def test_checkouts_are_switched_whole_and_old_ones_go(home: Home) -> None:
    for number in range(6):
        write_live(home, "local", "router", Live(f"{number:016x}", "d" * 16))
        folder = checkout.update(home).folder
        assert f"{number:016x}" in (folder / "models/local/router.yaml").read_text()
    assert 2 <= len(list((home.root / "checkout" / "trees").iterdir())) <= 3
    assert not list((home.root / "tmp").iterdir())


def test_links_in_the_repository_are_not_followed(home: Home) -> None:
    found = open_repository(home)
    head = found.fetch()
    blob = found.git.run("hash-object", "-w", "--stdin", stdin=b"/etc/passwd").decode().strip()
    entry = f"120000 blob {blob}\trouter.yaml\n"
    for name in ("local", "models", "manifests", "root"):
        tree = found.git.run("mktree", stdin=entry.encode()).decode().strip()
        entry = f"040000 tree {tree}\t{name}\n"
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a", "GIT_COMMITTER_NAME": "a"}
    words = ("commit-tree", tree, "-p", head, "-m", "x")
    commit = found.git.run(*words, variables={**who, "GIT_COMMITTER_EMAIL": "a"}).decode().strip()
    found.git.run("update-ref", "refs/heads/main", commit)
    folder = checkout.update(home).folder
    assert not (folder / "models" / "local").exists()


def test_another_branch_may_say_what_is_live(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASTEMAKER_GIT_BRANCH", "live")
    write_live(home, "local", "router", TWO)
    assert open_repository(home).git.resolve("refs/heads/live")
    assert not open_repository(home).git.resolve("refs/heads/main")
    assert get_live(home, "local", "router") == TWO


def test_a_home_on_s3_needs_a_named_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tastemaker.core.object_store import ObjectStore
    from tastemaker.core.s3_settings import S3Settings

    monkeypatch.delenv("TASTEMAKER_GIT", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    store = ObjectStore.__new__(ObjectStore)
    store.settings = S3Settings.of("s3://bucket/prefix")
    with pytest.raises(ConfigError, match=r"s3://bucket/prefix.*set TASTEMAKER_GIT"):
        repository.open_repository(Home(tmp_path, store))
    assert not repository.is_there(Home(tmp_path, store))
    with pytest.raises(ConfigError, match="set TASTEMAKER_GIT"):
        get_live(Home(tmp_path, store), "local", "router")


def test_a_lock_that_a_killed_git_left_is_taken_away(home: Home) -> None:
    found = open_repository(home)
    lock = found.git.folder / "refs" / "heads" / "main.lock"
    lock.touch()
    with found.lock():
        assert lock.exists()  # somebody may be at work
    os.utime(lock, (0, 0))
    with found.lock():
        assert not lock.exists()
