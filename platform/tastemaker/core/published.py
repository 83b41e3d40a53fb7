"""Finished folders on S3: all files first, then a manifest that makes them count.

complete/<key>.json   name, bytes and SHA-256 of each file below `<key>/`; written last

A folder without its manifest is not there: an upload that was killed is never seen, and the
next one completes it. The manifests lie apart, so that whoever copies the folder itself (a
model server's storage initializer) gets the files and nothing else. A single file needs no
manifest, as one PUT is whole or absent.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tastemaker.core.errors import DataError
from tastemaker.core.object_store import ObjectStore
from tastemaker.core.progress import Progress

SHOWN_BYTES = 64 << 20  # transfers above this report their progress


@dataclass(frozen=True)
class File:
    """One file of a folder: its bytes and their SHA-256 in hex."""

    size: int
    sha256: str


class Bar:
    """Bytes moved of one folder; takes the client's reports.

    Args:
        label: What is moved.
        total: All of its bytes.
    """

    def __init__(self, label: str, total: int) -> None:
        self.moved = 0
        self.progress = Progress(label, total >> 20) if total > SHOWN_BYTES else None

    def set_meta(self, object_name: str, total_length: int) -> None:
        """The client begins a file."""

    def update(self, length: int) -> None:
        """The client moved some bytes more."""
        self.moved += length
        if self.progress:
            self.progress.update(self.moved >> 20, "MiB")


def manifest_key(key: str) -> str:
    """Where the manifest of a folder lies."""
    return f"complete/{key}.json"


def is_there(store: ObjectStore, key: str) -> bool:
    """Whether a finished folder or a file lies under a key."""
    return store.size(manifest_key(key)) is not None or store.size(key) is not None


def upload(store: ObjectStore, source: Path, key: str) -> None:
    """Upload a finished folder or file; what is there already stays.

    Args:
        store: Where to.
        source: A folder or file named by its content, which nobody changes any more.
        key: Where it is to lie.
    """
    if is_there(store, key):
        return
    if source.is_file():
        store.put_file(key, source, Bar(f"upload {key}", source.stat().st_size))
        return
    files = files_of(source)
    bar = Bar(f"upload {key}", sum(file.size for file in files.values()))
    for name in files:
        store.put_file(f"{key}/{name}", source / name, bar)
    store.put_bytes(manifest_key(key), _to_json(files))


def download(store: ObjectStore, key: str, target: Path, partial: Path) -> bool:
    """Download a finished folder or file; it appears at once, whole and checked.

    Files that a killed download had finished are taken up; of several processes one downloads
    and the others wait for it.

    Args:
        store: Where from.
        key: What.
        target: Where it is to appear.
        partial: Folder of this machine's unfinished downloads, on the same disk.

    Returns:
        False where the store has no such thing.

    Raises:
        DataError: What came differs from the manifest.
    """
    unfinished = partial / key.replace("/", "+")
    with _only_one(unfinished):
        if target.exists():
            return True
        manifest = store.get_bytes(manifest_key(key))
        if manifest is None:
            if store.size(key) is None:
                return False
            store.get_file(key, unfinished, aside=_aside(unfinished))
        else:
            _download_files(store, key, _from_json(store, key, manifest), unfinished)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished.rename(target)
    return True


def remove(store: ObjectStore, key: str) -> None:
    """Remove a folder or file; its manifest goes first, so that no half is ever seen."""
    alone = [key] if store.size(key) is not None else []
    store.delete(manifest_key(key))
    store.delete(*alone, *store.keys(f"{key}/"))


def files_of(folder: Path) -> dict[str, File]:
    """All files below a folder by relative name, with their digests."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): _described(path) for path in paths}


def _download_files(store: ObjectStore, key: str, files: Mapping[str, File], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    bar = Bar(f"download {key}", sum(file.size for file in files.values()))
    for name, expected in files.items():
        path = folder / name
        if path.is_file() and _described(path) == expected:
            bar.update(expected.size)
            continue
        store.get_file(f"{key}/{name}", path, bar, aside=_aside(folder))
        if (found := _described(path)) != expected:
            path.unlink()
            raise DataError(
                f"{store.settings.url}/{key}/{name} is corrupted: {found.size} bytes of SHA-256 "
                f"{found.sha256}, but its manifest says {expected.size} of {expected.sha256}; "
                f"delete {manifest_key(key)} and publish it again from where it was made"
            )


def _aside(unfinished: Path) -> Path:
    """Where one file is written to until it is whole; not among the finished ones."""
    return unfinished.with_name(f"{unfinished.name}.part")


def _described(path: Path) -> File:
    with path.open("rb") as file:
        return File(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _to_json(files: Mapping[str, File]) -> bytes:
    content = {"files": {name: asdict(file) for name, file in files.items()}}
    return json.dumps(content, indent=1, sort_keys=True).encode()


def _from_json(store: ObjectStore, key: str, manifest: bytes) -> dict[str, File]:
    try:
        files = {name: File(**file) for name, file in json.loads(manifest)["files"].items()}
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
            raise ValueError("a name that is not below the folder")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{store.settings.url}/{manifest_key(key)}"
        raise DataError(
            f"{what} is not a manifest ({error}); delete it and publish {key} again"
        ) from None
    return files


@contextmanager
def _only_one(unfinished: Path) -> Iterator[None]:
    """One process of this machine downloads it at a time."""
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    with unfinished.with_name(f"{unfinished.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
