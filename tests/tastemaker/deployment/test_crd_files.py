"""CRD files: found, or downloaded whole from where they are pinned."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from tastemaker.core.errors import ConfigError, ServiceError
from tastemaker.deployment import crd_files


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A real HTTP server over a folder: the folder and its address."""
    folder = tmp_path / "upstream"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield folder, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.delenv("TASTEMAKER_CRDS", raising=False)


def sources(tmp_path: Path, url: str, **sha256: str) -> Path:
    files = [
        {"path": f"crd/{name}.yaml", **({"sha256": sha256[name]} if name in sha256 else {})}
        for name in ("a", "b")
    ]
    path = tmp_path / "sources.yaml"
    path.write_text(yaml.safe_dump({"lamps": {"url": url, "files": files}}))
    return path


def test_files_are_downloaded_once(tmp_path: Path, upstream: tuple[Path, str]) -> None:
    folder, url = upstream
    (folder / "crd").mkdir()
    for name in ("a", "b"):
        (folder / "crd" / f"{name}.yaml").write_text(f"kind: {name}\n")
    listed = sources(tmp_path, url, a=hashlib.sha256(b"kind: a\n").hexdigest())
    said: list[str] = []
    kept = crd_files.fetch(said.append, listed)
    assert said == ["[1/2] lamps/a.yaml", "[2/2] lamps/b.yaml"]
    assert (kept / "lamps" / "b.yaml").read_text() == "kind: b\n"
    assert crd_files.fetch(said.append, listed) == kept
    assert len(said) == 2


def test_what_came_is_kept_and_the_next_call_goes_on(
    tmp_path: Path, upstream: tuple[Path, str]
) -> None:
    folder, url = upstream
    (folder / "crd").mkdir()
    (folder / "crd" / "a.yaml").write_text("kind: a\n")
    listed = sources(tmp_path, url)
    with pytest.raises(ServiceError, match=r"lamps/b.yaml could not be fetched from .*404"):
        crd_files.fetch(lambda line: None, listed)
    (folder / "crd" / "b.yaml").write_text("kind: b\n")
    said: list[str] = []
    crd_files.fetch(said.append, listed)
    assert said == ["[2/2] lamps/b.yaml"]


def test_without_a_network_the_message_says_what_to_do(tmp_path: Path) -> None:
    listed = sources(tmp_path, "http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(ServiceError, match="run the command again with a network, or point"):
        crd_files.fetch(lambda line: None, listed)
    assert not list(crd_files.cache_folder(listed).rglob("*.yaml"))


def test_other_bytes_than_the_pinned_ones_are_refused(
    tmp_path: Path, upstream: tuple[Path, str]
) -> None:
    folder, url = upstream
    (folder / "crd").mkdir()
    (folder / "crd" / "a.yaml").write_text("kind: evil\n")
    listed = sources(tmp_path, url, a="0" * 64)
    with pytest.raises(ServiceError, match=r"but 0000.* is pinned"):
        crd_files.fetch(lambda line: None, listed)
    assert not list(crd_files.cache_folder(listed).rglob("*.yaml"))


def test_other_pins_are_another_folder(tmp_path: Path) -> None:
    first = crd_files.cache_folder(sources(tmp_path, "http://one"))
    assert first != crd_files.cache_folder(sources(tmp_path, "http://two"))


def test_a_named_folder_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASTEMAKER_CRDS", str(tmp_path))
    assert crd_files.folders() == [tmp_path]
    monkeypatch.setenv("TASTEMAKER_CRDS", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="is not a folder of CRD files"):
        crd_files.folders()


def test_folders_beside_the_checkout_and_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TASTEMAKER_ROOT", str(tmp_path / "checkout"))
    assert crd_files.folders() == []
    beside = tmp_path / "shared" / "crds"
    for folder in (beside, crd_files.cache_folder()):
        folder.mkdir(parents=True)
    assert crd_files.folders() == [beside, crd_files.cache_folder()]


def test_every_pinned_file_has_a_place_of_its_own() -> None:
    wanted = crd_files.wanted()
    assert len({file.path for file in wanted}) == len(wanted) > 50
    assert all(file.url.startswith("https://raw.githubusercontent.com/") for file in wanted)
    assert not [file.url for file in wanted if "/main/" in file.url or "/master/" in file.url]
