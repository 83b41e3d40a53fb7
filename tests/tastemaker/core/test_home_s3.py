"""A home on a real S3 server: the same calls as on a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

import certifi
import pyarrow as pa
import pytest

from tastemaker.core.errors import ConfigError, ServiceError
from tastemaker.core.home import Home
from tests.tastemaker.core.s3_server import Server, conditional, make_tls, rclone


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def home(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Home:
    monkeypatch.delenv("TASTEMAKER_DATABASE", raising=False)
    monkeypatch.setenv("TASTEMAKER_HOME", server.set(monkeypatch, tmp_path) + f"/{tmp_path.name}")
    return Home.open()


def elsewhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Home:
    """The same home from a machine with an empty cache."""
    monkeypatch.setenv("TASTEMAKER_CACHE", str(folder))
    return Home.open()


def test_its_location_opens_it_again(home: Home, tmp_path: Path) -> None:
    assert home.location.startswith("s3://bucket/some/home/")
    assert Home.open(home.location).root == home.root
    assert home.root.parent == tmp_path
    assert home.uri("tables", "x.lance") == f"{home.location}/tables/x.lance"


def test_what_is_published_here_is_fetched_there(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with home.staging() as staging:
        (staging / "it").mkdir()
        (staging / "it" / "file").write_text("x")
        here = home.publish(staging / "it", "bundles", "aa")
    there = elsewhere(monkeypatch, tmp_path / "there").fetch("bundles", "aa")
    assert here != there
    assert (there / "file").read_text() == (here / "file").read_text() == "x"
    assert home.holds("bundles", "aa")
    assert not home.holds("bundles", "bb")
    assert not home.fetch("bundles", "bb").exists()


def test_small_files_are_read_as_they_are_now(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = elsewhere(monkeypatch, tmp_path / "there")
    assert other.read_text("features", "current.yaml") is None
    for text in ("one", "zwei ü"):
        home.write_text(text, "features", "current.yaml")
        assert other.read_text("features", "current.yaml") == text
    assert other.names("features") == ["current.yaml"]
    other.remove("features", "current.yaml")
    assert home.read_text("features", "current.yaml") is None


def test_a_checkpoint_is_taken_up_by_another_machine(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = home.restore("checkpoints", "train-x.pt")
    assert not path.exists()
    for text in ("step 10", "step 20"):
        path.write_text(text)
        home.keep(path)
    path.write_text("step 30, not kept")
    there = elsewhere(monkeypatch, tmp_path / "there")
    assert there.restore("checkpoints", "train-x.pt").read_text() == "step 20"
    there.remove("checkpoints", "train-x.pt")
    assert not elsewhere(monkeypatch, tmp_path / "third").restore("checkpoints", "t.pt").exists()


def test_a_removed_folder_is_gone_here_and_there(home: Home) -> None:
    with home.staging() as staging:
        (staging / "it").mkdir()
        (staging / "it" / "file").write_text("x")
        home.publish(staging / "it", "features", "aa")
    home.remove("features", "aa")
    assert not home.fetch("features", "aa").exists()


def test_a_database_must_be_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="set TASTEMAKER_DATABASE"):
        home.database()
    monkeypatch.setenv("TASTEMAKER_DATABASE", "sqlite:////tmp/x.db")
    assert home.database() == "sqlite:////tmp/x.db"


def test_tables_are_refused_where_commits_would_be_lost(home: Home) -> None:
    with pytest.raises(ConfigError, match=r"takes a second PUT with If-None-Match"):
        home.require_tables()


def test_a_cache_that_cannot_be_a_folder_is_named(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="TASTEMAKER_CACHE="):
        elsewhere(monkeypatch, tmp_path / "file")


def test_a_server_is_trusted_by_its_own_authority_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with rclone(tmp_path / "server", tls=make_tls(tmp_path)) as server:
        monkeypatch.setenv("SSL_CERT_FILE", certifi.where())
        location = server.set(monkeypatch, tmp_path / "cache")
        home = Home.open(location)
        home.write_text("x", "a", "b")
        assert home.read_text("a", "b") == "x"
        monkeypatch.delenv("AWS_CA_BUNDLE")
        with pytest.raises(ServiceError, match="CERTIFICATE_VERIFY_FAILED"):
            Home.open(location)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none"))
        with pytest.raises(ConfigError, match=r"AWS_CA_BUNDLE='.*none' is not a file"):
            Home.open(location)


@pytest.mark.slow
def test_lance_trusts_the_same_authority(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tastemaker.data.dataset import open_table, write_table

    with conditional(tmp_path / "server", tls=make_tls(tmp_path)) as server:
        monkeypatch.setenv("SSL_CERT_FILE", "")  # put back afterwards
        home = Home.open(server.set(monkeypatch, tmp_path / "cache"))
        trusted = Path(os.environ["SSL_CERT_FILE"]).read_text()
        assert (tmp_path / "ca.crt").read_text() in trusted
        assert Path(certifi.where()).read_text() in trusted, "and the public ones"
        table = write_table(home, "items", pa.table({"n": [1, 2]}))
        assert open_table(home, table.uri).count_rows() == 2
