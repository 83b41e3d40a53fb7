import contextlib
import os
import shutil
from pathlib import Path

import pytest

from tastemaker.core.errors import ConfigError, TastemakerError
from tastemaker.core.home import Home, publish, write_text


def test_an_interrupted_write_leaves_nothing_in_place(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path / "home"))
    with contextlib.suppress(KeyboardInterrupt), home.staging() as staged:
        (staged / "half").write_text("half")
        raise KeyboardInterrupt
    assert list((home.root / "tmp").iterdir()) == []


def test_sweep_removes_what_dead_processes_left_and_keeps_the_living(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    dead, living = home.path("tmp", "999999999-a", "x"), home.path("tmp", f"{os.getpid()}-b", "x")
    dead.write_text("")
    living.write_text("")
    home.sweep()
    assert not dead.exists()
    assert living.exists()


def test_publish_keeps_the_first_of_two_equal_things(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        publish(tmp_path / name, tmp_path / "done")
    assert (tmp_path / "done" / "file").read_text() == "one"


def test_write_text_leaves_no_staged_file(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b.txt", "x")
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b.txt"]


def test_other_schemes_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="gs://y"):
        Home.open("gs://y")


def test_a_folder_answers_to_the_calls_of_a_home_on_s3(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    assert home.location == str(tmp_path)
    assert home.fetch("bundles", "aa") == home.restore("bundles", "aa") == tmp_path / "bundles/aa"
    home.write_text("x", "a", "b.txt")
    home.keep(home.path("a", "b.txt"))
    assert home.read_text("a", "b.txt") == "x"
    assert (home.holds("a", "b.txt"), home.holds("a", "c.txt")) == (True, False)
    assert (home.names("a"), home.names("none")) == (["b.txt"], [])
    home.remove("a", "b.txt")
    home.remove("a")
    assert home.read_text("a", "b.txt") is None
    assert not (tmp_path / "a").exists()
    home.require_tables()
    assert home.storage_options is None


def test_a_file_cannot_be_a_home(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="not usable"):
        Home.open(str(tmp_path / "file"))


def test_too_little_disk_space_is_said_before_work_starts(tmp_path: Path) -> None:
    home = Home.open(str(tmp_path))
    with pytest.raises(TastemakerError, match=r"no disk space: .* MiB needed"):
        home.require_space(shutil.disk_usage(tmp_path).total * 2)
