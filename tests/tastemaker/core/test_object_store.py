import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastemaker.core.errors import ConfigError, ServiceError, TastemakerError
from tastemaker.core.object_store import PART_BYTES, ObjectStore, connect
from tastemaker.core.s3_settings import S3Settings
from tests.tastemaker.core.s3_server import Server, conditional, free_port, rclone


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def store(server: Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    return server.store(monkeypatch)


def test_objects_are_written_read_listed_and_deleted(store: ObjectStore) -> None:
    store.put_bytes("a/one", b"1")
    store.put_bytes("a/b/two", b"22")
    assert store.get_bytes("a/one") == b"1"
    assert store.get_bytes("a/none") is None
    assert (store.size("a/b/two"), store.size("a/b")) == (2, None)
    assert sorted(store.keys("a/")) == ["a/b/two", "a/one"]
    assert store.names("a") == ["b", "one"]
    store.delete("a/one", "a/b/two", "a/none")
    assert list(store.keys("a/")) == []


def test_a_file_of_several_parts_comes_back_whole(store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(PART_BYTES * 2 + 5))
    store.put_file("big", tmp_path / "big")
    store.get_file("big", tmp_path / "again", aside=tmp_path / "aside")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "big").read_bytes()
    assert not (tmp_path / "aside").exists()


BAD = {
    "AWS_ACCESS_KEY_ID": ("OTHER", "AWS_ACCESS_KEY_ID='OTHER' is not known to http"),
    "AWS_SECRET_ACCESS_KEY": ("wrong", "AWS_SECRET_ACCESS_KEY is not that of"),
    "TASTEMAKER_HOME": ("s3://no-such-bucket/x", "has no bucket 'no-such-bucket'; make it first"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_the_server_refuses_is_said_by_its_setting(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    value, message = BAD[name]
    for variable, good in {**server.environment, name: value}.items():
        monkeypatch.setenv(variable, good)
    with pytest.raises(ConfigError, match=message) as caught:
        connect(S3Settings.of(os.environ["TASTEMAKER_HOME"]))
    assert "SECRET'" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ServiceError, match=r"\(AWS_ENDPOINT_URL\) does not answer"):
        connect(S3Settings.of("s3://bucket"))


def test_a_key_that_no_server_takes_is_an_error_that_a_user_can_read(store: ObjectStore) -> None:
    with pytest.raises(TastemakerError, match="s3://bucket/some/home"):
        store.put_bytes("x" * 2000, b"")


def test_conditional_put_is_found_missing(store: ObjectStore) -> None:
    assert store.conditional_put is False
    assert list(store.keys("tmp/")) == []


@pytest.mark.slow
def test_conditional_put_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with conditional(tmp_path) as server:
        store = server.store(monkeypatch)
        assert store.conditional_put is True
        assert list(store.keys("tmp/")) == []
