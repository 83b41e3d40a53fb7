import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Role(BaseHTTPRequestHandler):
    """What a pod asks for the keys of its role."""

    def do_GET(self) -> None:
        said = {"AccessKeyId": "KEY", "SecretAccessKey": "SECRET", "Token": "", "Code": "Success"}
        said["Expiration"] = "2099-01-01T00:00:00Z"
        self.send_response(200 if self.path == "/keys" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(said).encode())

    def log_message(self, *words: object) -> None:
        pass


def test_a_pod_takes_the_keys_of_its_role(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    at = ThreadingHTTPServer(("127.0.0.1", 0), Role)
    threading.Thread(target=at.serve_forever, daemon=True).start()
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    url = f"http://127.0.0.1:{at.server_port}"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/keys")
    settings = S3Settings.of(os.environ["TASTEMAKER_HOME"])
    store = connect(settings)
    store.put_bytes("role", b"1")
    assert store.get_bytes("role") == b"1"
    assert "aws_access_key_id" not in store.lance_options(), "Lance asks for its own"
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url}/none")
    with pytest.raises(ConfigError, match="the pod's role gives no credentials"):
        ObjectStore(settings).check()
    at.shutdown()
    at.server_close()


def test_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEY")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "SECRET")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(ServiceError, match=r"\(AWS_ENDPOINT_URL\) does not answer"):
        connect(S3Settings.of("s3://bucket"))


def test_a_server_that_is_started_anew_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with rclone(tmp_path) as server:
        store = server.store(monkeypatch)
        store.put_bytes("one", b"1")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(store.get_bytes, "one")
        time.sleep(1.5)
        assert not waiting.done()
        with rclone(tmp_path, int(server.url.rpartition(":")[2])):
            assert waiting.result() == b"1"


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
