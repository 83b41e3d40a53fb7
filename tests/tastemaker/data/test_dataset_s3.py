"""Tables of a home on real S3 servers, with conditional PUT and without."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from tastemaker.core.errors import ConfigError, DataError, NotFound, ServiceError
from tastemaker.core.home import Home
from tastemaker.data.dataset import Dataset, load_dataset, open_table, write_table
from tests.tastemaker.core.s3_server import Server, conditional, rclone

ROWS = pa.table({"item_id": ["b", "a", "c"], "n": [1, 2, 3]})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with conditional(tmp_path_factory.mktemp("conditional")) as server:
        yield server


@pytest.fixture
def home(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Home:
    return Home.open(f"{server.set(monkeypatch, tmp_path)}/{tmp_path.name}")


def test_no_table_is_written_where_commits_would_be_lost(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with rclone(tmp_path / "server") as weak:
        home = Home.open(weak.set(monkeypatch, tmp_path / "cache"))
        with pytest.raises(ConfigError, match=r"takes a second PUT with If-None-Match"):
            write_table(home, "items", ROWS)
        assert home.store is not None
        assert not list(home.store.keys(""))


@pytest.mark.slow
def test_a_version_reads_back_as_from_a_folder(home: Home, tmp_path: Path) -> None:
    local = Home(tmp_path / "local")
    here, there = (
        Dataset(at, "x", {"items": write_table(at, "items", ROWS)}, notes={"k": 1}).save()
        for at in (local, home)
    )
    assert here == there
    found = load_dataset(home, there)
    assert found.read("items").equals(ROWS)
    assert found.notes == {"k": 1}
    assert write_table(home, "items", ROWS) == found.tables["items"]
    assert not list(home.root.rglob("*.lance")), "no table goes through this machine's disk"


@pytest.mark.slow
def test_a_version_keeps_its_columns_when_another_adds_one(home: Home) -> None:
    table = write_table(home, "items", ROWS)
    old = Dataset(home, "x", {"items": table})
    open_table(home, table.uri).add_columns(pa.table({"m": [7, 8, 9]}).to_reader())
    assert old.read("items").equals(ROWS)
    assert open_table(home, table.uri, 2).to_table(columns=["m"])["m"].to_pylist() == [7, 8, 9]


@pytest.mark.slow
def test_what_is_missing_or_changed_is_named(home: Home) -> None:
    with pytest.raises(NotFound, match="no dataset version 'abc' in s3://"):
        load_dataset(home, "abc")
    data = Dataset(home, "x", {"items": write_table(home, "items", ROWS)})
    digest = data.save()
    text = home.read_text("datasets", f"{digest}.yaml")
    assert text is not None
    home.write_text(text.replace("name: x", "name: y"), "datasets", f"{digest}.yaml")
    with pytest.raises(DataError, match=rf"{digest}\.yaml is corrupted"):
        load_dataset(home, digest)
    home.remove(data.tables["items"].uri)
    with pytest.raises(NotFound, match=rf"{digest}: table s3://.* is gone from the home"):
        data.read("items")


@pytest.mark.slow
def test_writers_of_the_same_table_agree(server: Server, home: Home, tmp_path: Path) -> None:
    code = (
        "import sys, pyarrow as pa\n"
        "from tastemaker.core.home import Home\n"
        "from tastemaker.data.dataset import write_table\n"
        "print(write_table(Home.open(sys.argv[1]), 'items', pa.table({'n': range(20_000)})))\n"
    )
    words = [sys.executable, "-c", code, home.location]
    environment = os.environ | server.of(tmp_path)
    children = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE) for _ in range(3)]
    said = {child.communicate()[0] for child in children}
    assert [child.returncode for child in children] == [0, 0, 0]
    assert len(said) == 1
    (name,) = home.names("tables")
    table = f"tables/{name}"
    versions = [version["version"] for version in open_table(home, table).versions()]
    assert versions[0] == 1
    for version in versions:  # Lance commits a late twin as one more version of the same rows
        assert open_table(home, table, version).to_table()["n"].to_pylist() == list(range(20_000))


@pytest.mark.slow
def test_a_server_that_went_away_is_not_a_missing_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with conditional(tmp_path) as server:
        home = Home.open(server.set(monkeypatch, tmp_path / "cache"))
        table = write_table(home, "items", ROWS)
    with pytest.raises(ServiceError, match="cannot be opened"):
        open_table(home, table.uri, table.version)
