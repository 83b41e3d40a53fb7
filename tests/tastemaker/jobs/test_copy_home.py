"""Copies between homes: folder to folder, to S3 and back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tastemaker.core.errors import ConfigError, DataError, NotFound
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset, open_table, write_table
from tastemaker.jobs.copy_home import HomeCopy
from tastemaker.promotion.bundle import Card, load_bundle, write_bundle
from tastemaker.promotion.model_file import Live
from tests.tastemaker.core.s3_server import Server, conditional, rclone
from tests.tastemaker.promotion.shop import write_live

ROWS = pa.table({"item_id": ["b", "a", "c"], "n": [1, 2, 3]})


class Made:
    """A home with two dataset versions of one table, an encoder and a model that reads it."""

    def __init__(self, folder: Path) -> None:
        self.home = Home.open(str(folder))
        table = write_table(self.home, "items", ROWS)
        first = Dataset(self.home, "shop", {"items": table}, notes={"n": 1})
        self.first = first.save()
        self.home.write_text("<p>report", "datasets", f"{self.first}.html")
        card = Card(family="encoder", config={}, parents={"dataset": self.first}, writes_space=True)
        self.encoder = write_bundle(self.home, card, _weights).digest
        column = f"embedding_{self.encoder}"
        wide = open_table(self.home, table.uri)
        wide.add_columns(pa.table({"other": [0, 0, 0]}).to_reader())
        wide.add_columns(pa.table({column: [0.5, 0.25, 0.125]}).to_reader())
        table = type(table)(table.uri, wide.version, 3, "embedded")
        spaces = {column: self.encoder}
        embedded = Dataset(self.home, "shop", {"items": table}, (self.first,), spaces)
        self.embedded = embedded.save()
        card = Card(
            family="index",
            config={},
            parents={"dataset": self.embedded, "encoder": self.encoder},
            reads=(self.encoder,),
        )
        self.index = write_bundle(self.home, card, _weights).digest
        for name in ("report.html", "cases.json", "metrics.json"):
            self.home.write_text(f"of {name}", "evaluations", self.encoder, self.first, name)


def _weights(folder: Path) -> None:
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(b"w" * 1000)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


def copied(source: Home, target: Home, bundle: str) -> list[str]:
    told: list[str] = []
    HomeCopy(source, target, told.append).bundle(bundle)
    return told


def assert_equal(made: Made, target: Home) -> None:
    for digest in (made.first, made.embedded):
        ours, theirs = load_dataset(made.home, digest), load_dataset(target, digest)
        assert theirs.read("items").equals(ours.read("items"))
        assert theirs.notes == ours.notes
    for digest in (made.encoder, made.index):
        assert load_bundle(target, digest).digest == digest
        assert load_bundle(target, digest).card == load_bundle(made.home, digest).card
    for name in ("report.html", "cases.json", "metrics.json"):
        assert target.read_text("evaluations", made.encoder, made.first, name) == f"of {name}"
    assert target.read_text("datasets", f"{made.first}.html") == "<p>report"


def test_a_bundle_comes_with_all_that_it_was_made_from_once(made: Made, tmp_path: Path) -> None:
    target = Home.open(str(tmp_path))
    told = copied(made.home, target, made.index)
    assert told[-1] == f"bundles/{made.index}"
    assert_equal(made, target)
    assert copied(made.home, target, made.index) == []


def test_columns_of_another_encoder_in_the_target_stay(made: Made, tmp_path: Path) -> None:
    target = Home.open(str(tmp_path))
    table = write_table(target, "items", ROWS)
    open_table(target, table.uri).add_columns(pa.table({"theirs": [7, 8, 9]}).to_reader())
    copied(made.home, target, made.index)
    assert open_table(target, table.uri).to_table()["theirs"].to_pylist() == [7, 8, 9]
    column = load_dataset(target, made.embedded).vector_column(made.encoder)
    found = load_dataset(target, made.embedded).read("items", [column])
    assert found[column].to_pylist() == [0.5, 0.25, 0.125]
    assert load_dataset(target, made.first).read("items").equals(ROWS)


def test_an_environment_is_what_is_live_there(made: Made, tmp_path: Path) -> None:
    source, target = Home.open(str(made.home.root)), Home.open(str(tmp_path))
    told: list[str] = []
    with pytest.raises(NotFound, match="nothing is live in environment 'staging'"):
        HomeCopy(source, target, told.append).environment("staging")
    live = Live(bundle=made.index, dataset=made.embedded, space=made.encoder)
    write_live(source, "staging", "retrieval", live)
    HomeCopy(source, target, told.append).environment("staging")
    assert_equal(made, target)
    assert "no router is live in staging" in told


def test_what_is_gone_or_changed_is_named(made: Made, tmp_path: Path) -> None:
    target = Home.open(str(tmp_path / "target"))
    with pytest.raises(NotFound, match="no bundle 'aa'"):
        copied(made.home, target, "aa")
    broken = Made(tmp_path / "broken")
    (broken.home.path("bundles", broken.index) / "model" / "weights").write_bytes(b"else")
    with pytest.raises(DataError, match=rf"bundles/{broken.index} is corrupted"):
        copied(broken.home, target, broken.index)
    assert not target.holds("bundles", broken.index)


def test_a_server_that_loses_commits_gets_no_tables(
    made: Made, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with rclone(tmp_path / "server") as server:
        target = Home.open(server.set(monkeypatch, tmp_path / "cache"))
        with pytest.raises(ConfigError, match="no table is written to s3://bucket/some/home"):
            copied(made.home, target, made.index)
        assert not target.holds("bundles", made.index)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with conditional(tmp_path_factory.mktemp("conditional")) as server:
        yield server


@pytest.mark.slow
def test_to_s3_and_back(
    made: Made, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    target = Home.open(server.set(monkeypatch, tmp_path / "cache"))
    copied(made.home, target, made.index)
    assert_equal(made, target)
    assert copied(made.home, target, made.index) == []
    monkeypatch.setenv("TASTEMAKER_CACHE", str(tmp_path / "another machine"))
    back = Home.open(str(tmp_path / "back"))
    copied(Home.open(), back, made.index)
    assert_equal(made, back)


@pytest.mark.slow
def test_a_copy_that_is_killed_is_never_half_there_and_goes_on(
    made: Made, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    location = f"{server.set(monkeypatch, tmp_path / 'cache')}/killed"
    words = [sys.executable, "-m", "tastemaker.cli", "home", "copy", str(made.home.root), location]
    child = subprocess.Popen(
        [*words, "--bundle", made.index], env=os.environ, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline().startswith("tables/")  # the next things are on their way
    time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    target = Home.open(location)
    assert not target.holds("bundles", made.index)
    copied(made.home, target, made.index)
    assert_equal(made, target)
