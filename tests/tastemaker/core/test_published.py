import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tastemaker.core import published
from tastemaker.core.errors import DataError
from tastemaker.core.object_store import ObjectStore
from tests.tastemaker.core.s3_server import BUCKET, Server, rclone

KEY = "bundles/0123456789abcdef"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with rclone(tmp_path / "server") as server:
        yield server


@pytest.fixture
def store(server: Server, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    return server.store(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "staged"
    (folder / "model").mkdir(parents=True)
    (folder / "bundle.yaml").write_text("family: x\n")
    (folder / "model" / "weights").write_bytes(os.urandom(100_000))
    return folder


def texts(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def stored(tmp_path: Path) -> Path:
    return tmp_path / "server" / BUCKET / "some" / "home"


def test_a_folder_comes_back_file_by_file(store: ObjectStore, folder: Path, tmp_path: Path) -> None:
    published.upload(store, folder, KEY)
    assert published.download(store, KEY, tmp_path / "here" / "it", tmp_path / "partial")
    assert texts(tmp_path / "here" / "it") == texts(folder)
    assert sorted(store.keys(f"{KEY}/")) == [f"{KEY}/bundle.yaml", f"{KEY}/model/weights"]
    assert not [path for path in (tmp_path / "partial").iterdir() if path.suffix != ".lock"]


def test_what_is_absent_is_not_there(store: ObjectStore, tmp_path: Path) -> None:
    assert not published.is_there(store, KEY)
    assert not published.download(store, KEY, tmp_path / "it", tmp_path / "partial")
    assert not (tmp_path / "it").exists()


def test_a_file_needs_no_manifest(store: ObjectStore, folder: Path, tmp_path: Path) -> None:
    published.upload(store, folder / "bundle.yaml", "sets/one.yaml")
    assert list(store.keys("")) == ["sets/one.yaml"]
    assert published.download(store, "sets/one.yaml", tmp_path / "one", tmp_path / "partial")
    assert (tmp_path / "one").read_text() == "family: x\n"


def test_removed_things_are_gone_with_their_manifest(store: ObjectStore, folder: Path) -> None:
    published.upload(store, folder, KEY)
    published.remove(store, KEY)
    assert list(store.keys("")) == []


def test_a_changed_object_is_refused_by_name(
    store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    published.upload(store, folder, KEY)
    (stored(tmp_path) / KEY / "model" / "weights").write_bytes(b"else")
    with pytest.raises(DataError, match=rf"{KEY}/model/weights is corrupted: 4 bytes"):
        published.download(store, KEY, tmp_path / "it", tmp_path / "partial")
    assert not (tmp_path / "it").exists()
    store.put_file(f"{KEY}/model/weights", folder / "model" / "weights")
    assert published.download(store, KEY, tmp_path / "it", tmp_path / "partial")
    assert texts(tmp_path / "it") == texts(folder)


@pytest.mark.parametrize(
    "manifest", [b"", b"[]", b'{"files": {"../x": {"size": 1, "sha256": ""}}}']
)
def test_a_manifest_that_is_none_is_refused(
    manifest: bytes, store: ObjectStore, tmp_path: Path
) -> None:
    store.put_bytes(published.manifest_key(KEY), manifest)
    with pytest.raises(DataError, match=r"complete/bundles/.*json is not a manifest"):
        published.download(store, KEY, tmp_path / "it", tmp_path / "partial")


def test_a_killed_upload_is_never_seen_and_the_next_completes_it(
    server: Server, store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    (folder / "model" / "zlast").write_bytes(os.urandom(150 << 20))
    code = (
        "import sys; from pathlib import Path\n"
        "from tastemaker.core.object_store import ObjectStore\n"
        "from tastemaker.core.s3_settings import S3Settings\n"
        "from tastemaker.core.published import upload\n"
        "upload(ObjectStore(S3Settings.of(sys.argv[1])), Path(sys.argv[2]), sys.argv[3])\n"
    )
    words = [sys.executable, "-c", code, server.environment["TASTEMAKER_HOME"], str(folder), KEY]
    child = subprocess.Popen(words, env=os.environ | server.environment)
    first = stored(tmp_path) / KEY / "model" / "weights"
    while not first.exists():  # the large one after it is on its way
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not published.is_there(store, KEY)
    assert not published.download(store, KEY, tmp_path / "it", tmp_path / "partial")
    published.upload(store, folder, KEY)
    assert published.download(store, KEY, tmp_path / "it", tmp_path / "partial")
    assert published.files_of(tmp_path / "it") == published.files_of(folder)


def test_a_killed_download_is_taken_up(
    server: Server, store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    published.upload(store, folder, KEY)
    unfinished = tmp_path / "partial" / KEY.replace("/", "+")
    (unfinished / "model").mkdir(parents=True)
    (unfinished / "model" / "weights").write_bytes((folder / "model" / "weights").read_bytes())
    (unfinished / "bundle.yaml").write_text("fam")  # another's half
    (stored(tmp_path) / KEY / "model" / "weights").unlink()  # not asked for again
    assert published.download(store, KEY, tmp_path / "it", tmp_path / "partial")
    assert texts(tmp_path / "it") == texts(folder)


def test_processes_that_publish_and_fetch_the_same_agree(
    server: Server, store: ObjectStore, folder: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tastemaker.core.home import Home\n"
        "import shutil\n"
        "home = Home.open()\n"
        "with home.staging() as staging:\n"
        "    shutil.copytree(sys.argv[1], staging / 'it')\n"
        "    home.publish(staging / 'it', 'bundles', '0123456789abcdef')\n"
        "shutil.rmtree(home.path('bundles', '0123456789abcdef'), ignore_errors=True)\n"
        "assert home.fetch('bundles', '0123456789abcdef').is_dir()\n"
    )
    words = [sys.executable, "-c", code, str(folder)]
    caches = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    children = [subprocess.Popen(words, env=os.environ | server.of(cache)) for cache in caches]
    assert [child.wait() for child in children] == [0, 0, 0]
    for cache in caches:
        (made,) = cache.glob("bucket-*/bundles/*")
        assert texts(made) == texts(folder)
