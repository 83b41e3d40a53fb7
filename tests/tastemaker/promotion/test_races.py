"""Promotions by several machines at once, and by processes that are killed in the act."""

import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tastemaker.core.errors import TastemakerError
from tastemaker.core.home import Home
from tastemaker.promotion import repository
from tastemaker.promotion.environment import get_live
from tastemaker.promotion.model_file import MODELS, Live
from tastemaker.promotion.promote import promote, promote_set, rollback
from tastemaker.promotion.repository import open_repository
from tests.tastemaker.promotion.shop import make_bundle, make_set, signed, signed_set

fork = multiprocessing.get_context("fork")
pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.open(str(tmp_path / "home"))
    live = make_set(home)
    promote_set(home, "local", live, signed_set(home, live))
    return home


def another(home: Home, model: str, salt: str) -> tuple[Live, str]:
    """A bundle that could take the place of a live one, and its evidence."""
    now = get_live(home, "local", model)
    live = Live(make_bundle(home, model, now.space, salt), now.dataset, now.space)
    return live, signed(home, model, live, now.bundle)


def machine(home: Home, number: int) -> Path:
    """Another machine: a home of its own with the same bundles; it only has the remote."""
    root = home.root.with_name(f"machine-{number}")
    shutil.copytree(home.root / "bundles", root / "bundles")
    return root


def contend(
    root: Path, remote: Path, start: Barrier, told: Path, work: Callable[[Home], str]
) -> None:
    os.environ["TASTEMAKER_GIT"] = f"file://{remote}"
    start.wait()
    try:
        told.write_text("landed " + work(Home.open(str(root))))
    except TastemakerError as error:
        told.write_text(f"{type(error).__name__}: {error}")


def race(home: Home, works: list[Callable[[Home], str]], tmp_path: Path) -> list[str]:
    """What each of several machines was told that did its work at the same time."""
    remote = open_repository(home).git.folder
    start = fork.Barrier(len(works))
    told = [tmp_path / f"told-{number}" for number in range(len(works))]
    processes = [
        fork.Process(target=contend, args=(machine(home, n), remote, start, told[n], work))
        for n, work in enumerate(works)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    return [file.read_text() for file in told]


def whole(home: Home) -> None:
    git = open_repository(home).git
    assert git.text("fsck", "--full", "--strict", "--no-dangling") == ""


def promotion(model: str, made: tuple[Live, str]) -> Callable[[Home], str]:
    return lambda there: promote(there, "local", model, *made)


def test_six_machines_race_for_three_models(home: Home, tmp_path: Path) -> None:
    contenders = [
        (model, another(home, model, salt))
        for model in ("retrieval", "recommender", "router")
        for salt in ("b", "c")
    ]
    told = race(home, [promotion(*one) for one in contenders], tmp_path)
    by_model: dict[str, list[str]] = {}
    for (model, _), said in zip(contenders, told, strict=True):
        by_model.setdefault(model, []).append(said)
    for model, (one, other) in by_model.items():
        assert one.startswith("landed") != other.startswith("landed"), (model, one, other)
        lost = other if one.startswith("landed") else one
        assert "was changed meanwhile by commit" in lost or "is live now" in lost
    git = open_repository(home).git
    assert len(git.commits(open_repository(home).fetch())) == 2 + 3
    whole(home)


def test_two_rollbacks_at_once_go_back_once(home: Home, tmp_path: Path) -> None:
    second, line = another(home, "router", "b")
    promote(home, "local", "router", second, line)
    third, line = another(home, "router", "c")
    promote(home, "local", "router", third, line)
    told = race(home, [lambda there: rollback(there, "local", "router")] * 2, tmp_path)
    landed = [said for said in told if said.startswith("landed")]
    assert len(landed) == 1, told
    git = open_repository(home).git
    text = git.read(open_repository(home).fetch(), "manifests/models/local/router.yaml") or ""
    assert second.bundle in text


def descendants(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and int((folder / "stat").read_text().split()[-49]) == pid:
                found += [int(folder.name), *descendants(int(folder.name))]
        except (OSError, IndexError, ValueError):
            continue
    return found


@pytest.mark.parametrize("with_git", [False, True])
def test_a_promotion_killed_at_any_moment_is_there_whole_or_not_at_all_and_never_twice(
    home: Home, with_git: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alone, its Git goes on behind it; with its Git, locks stay behind."""
    live, line = another(home, "router", "timed")
    start = time.monotonic()
    promote(home, "local", "router", live, line)
    took_s = time.monotonic() - start
    draw = random.Random(5)
    if with_git:
        monkeypatch.setattr(repository, "LEFT_S", -1.0)  # nobody who could hold one lives
    for trial in range(10):
        before = open_repository(home).fetch()
        live, line = another(home, "router", f"{trial}")
        process = fork.Process(target=promote, args=(home, "local", "router", live, line))
        process.start()
        assert process.pid
        time.sleep(draw.uniform(0, took_s))
        git_processes = descendants(process.pid) if with_git else []
        for pid in [process.pid, *git_processes]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        process.join()
        git = open_repository(home).git
        head = open_repository(home).fetch()
        assert head == before or git.parents(head) == [before]
        commit = promote(home, "local", "router", live, line)
        assert git.parents(commit) == [before]
        assert open_repository(home).fetch() == commit
        assert get_live(home, "local", "router") == live
    whole(home)
    assert set(MODELS) == {
        path.stem for path in (home.root / "checkout/current/models/local").iterdir()
    }
