"""The home: where everything lives. One setting, `TASTEMAKER_HOME`: a folder or s3://bucket/prefix.

tables/<name>-<digest>.lance   the tables of dataset versions
datasets/<digest>.yaml         dataset versions
bundles/<digest>/              trained models and indexes
evaluations/<digest>/          metrics and reports of bundles
git/manifests.git              which bundle is live where, where no TASTEMAKER_GIT is named
checkout/                      the model files of the repository, as they are now
evidence/, keys/               what gates found, and the key that signs it
checkpoints/                   of jobs under way
features/                      of users and items, offline and online
run/                           what is served: logs, traces, the operational database
tmp/                           half-written things; swept at the next start

On S3 the same names are keys, and `root` is a folder of this machine that holds copies of what
never changes and things under way: it may be deleted whenever nothing runs (docs/home.md).
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tastemaker.core import digests
from tastemaker.core.errors import ConfigError, TastemakerError

if TYPE_CHECKING:  # the S3 client is imported where a home lies on S3
    from tastemaker.core.object_store import ObjectStore

DEFAULT = ".tastemaker"
MIN_FREE_BYTES = 512 << 20  # a job does not start with less


class Home:
    """A place that holds everything, with atomic writes.

    Args:
        root: An absolute local path, made when missing: the home itself, or the cache of one
            that lies on S3.
        store: Where a home on S3 lies.
    """

    def __init__(self, root: Path, store: "ObjectStore | None" = None) -> None:
        self.root = root.resolve()
        self.store = store

    @classmethod
    def open(cls, location: str | None = None) -> "Home":
        """Open the home, making its folder when it is missing.

        Args:
            location: A path, a `file://` URL or `s3://bucket/prefix`; default
                `TASTEMAKER_HOME`, else `./.tastemaker`.

        Raises:
            ConfigError: Another scheme, a path that cannot be a folder, or S3 settings that
                the server refuses.
            ServiceError: The S3 server does not answer.
        """
        location = location or os.environ.get("TASTEMAKER_HOME") or DEFAULT
        store = None
        if location.startswith("s3://"):
            from tastemaker.core.object_store import connect
            from tastemaker.core.s3_settings import S3Settings

            store = connect(S3Settings.of(location))
            root = _cache_folder(store)
        elif "://" in location and not location.startswith("file://"):
            raise ConfigError(
                f"TASTEMAKER_HOME={location!r}: a path, a file:// URL or s3://bucket/prefix"
            )
        else:
            root = Path(location.removeprefix("file://")).expanduser()
        home = cls(root, store)
        try:
            home.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            name = "TASTEMAKER_CACHE" if store else "TASTEMAKER_HOME"
            where = str(root) if store else location
            raise ConfigError(f"{name}={where!r} is not usable: {error}") from None
        if store:
            from tastemaker.core.s3_settings import trust

            trust(store.settings, home.root)
        return home

    @property
    def location(self) -> str:
        """What `TASTEMAKER_HOME` must be in another process."""
        return self.store.settings.url if self.store else str(self.root)

    def uri(self, *parts: str) -> str:
        """Address of something in the home for libraries that read it themselves."""
        return "/".join((self.location, *parts))

    @property
    def storage_options(self) -> dict[str, str] | None:
        """What Lance needs to get at `uri(...)`."""
        return self.store.lance_options() if self.store else None

    def path(self, *parts: str) -> Path:
        """A local path below `root`; its parent folders exist afterwards."""
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def publish(self, staged: Path, *parts: str) -> Path:
        """Put a finished folder or file in place at once; an equal earlier one is kept.

        Args:
            staged: In a folder of `staging()`; nothing changes it any more.
            parts: Its place, which names its content by a digest.
        """
        if self.store:
            from tastemaker.core import published

            published.upload(self.store, staged, "/".join(parts))
        target = self.path(*parts)
        publish(staged, target)
        return target

    def fetch(self, *parts: str) -> Path:
        """Local path of something published; on S3 it is downloaded where it is missing here.

        Returns:
            A path that does not exist where the home has no such thing.

        Raises:
            DataError: What came is not what was published.
        """
        path = self.path(*parts)
        if self.store and not path.exists():
            from tastemaker.core import published

            published.download(self.store, "/".join(parts), path, self.root / "partial")
        return path

    def holds(self, *parts: str) -> bool:
        """Whether something published or written lies there, whole."""
        if self.store:
            from tastemaker.core import published

            return published.is_there(self.store, "/".join(parts))
        return self.root.joinpath(*parts).exists()

    def names(self, *parts: str) -> list[str]:
        """What lies directly in a folder, in the home or in its cache, sorted."""
        folder = self.root.joinpath(*parts)
        found = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
        return sorted(found | set(self.store.names("/".join(parts)) if self.store else ()))

    def remove(self, *parts: str) -> None:
        """Remove a file or folder; one that is not there is no error."""
        if self.store:
            from tastemaker.core import published

            published.remove(self.store, "/".join(parts))
        path = self.root.joinpath(*parts)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def write_text(self, text: str, *parts: str) -> None:
        """Write a small file that may change: readers see the old content or the new."""
        if self.store:
            self.store.put_bytes("/".join(parts), text.encode())
        else:
            write_text(self.path(*parts), text)

    def read_text(self, *parts: str) -> str | None:
        """Read a small file as it is now; None where there is none."""
        if self.store:
            data = self.store.get_bytes("/".join(parts))
            return None if data is None else data.decode()
        path = self.root.joinpath(*parts)
        return path.read_text() if path.is_file() else None

    def restore(self, *parts: str) -> Path:
        """Local path of a large file that changes (a checkpoint), as it was kept last."""
        path, key = self.path(*parts), "/".join(parts)
        if self.store and self.store.size(key) is not None:
            self.store.get_file(key, path, aside=path.with_name(f".{path.name}.{os.getpid()}"))
        return path

    def keep(self, path: Path) -> None:
        """Keep a file of `restore` as it is now, so that another machine goes on from it."""
        if self.store:
            self.store.put_file(path.relative_to(self.root).as_posix(), path)

    def require_tables(self) -> None:
        """Refuse to write tables where concurrent commits would be lost without an error.

        Raises:
            ConfigError: The S3 server takes a conditional PUT twice.
        """
        if self.store and not self.store.conditional_put:
            raise ConfigError(
                f"{self.store.settings.server} takes a second PUT with If-None-Match, so two "
                "writers of one table would lose rows without an error: no table is written to "
                f"{self.location}. Use one that honours conditional writes, as Amazon S3 and MinIO "
                "do (`tastemaker home check` asks a server); bundles and other files may stay"
            )

    def database(self) -> str:
        """URL of the operational database: `TASTEMAKER_DATABASE`, else a file in the home.

        Raises:
            ConfigError: The home is on S3 and the variable is not set.
        """
        url = os.environ.get("TASTEMAKER_DATABASE", "")
        if self.store and not url:
            raise ConfigError(
                f"TASTEMAKER_HOME={self.location!r} holds no database: set TASTEMAKER_DATABASE to "
                "the SQLAlchemy URL of one that all processes reach; a file here would be lost "
                "with this machine"
            )
        return url or f"sqlite:///{self.path('run', 'assistant.db')}"

    def require_space(self, num_bytes: int = MIN_FREE_BYTES) -> None:
        """Refuse to start work that the disk has no room for.

        Raises:
            TastemakerError: Fewer bytes are free than asked.
        """
        free = shutil.disk_usage(self.root).free
        setting = "TASTEMAKER_CACHE" if self.store else "TASTEMAKER_HOME"
        if free < num_bytes:
            raise TastemakerError(
                f"no disk space: {free / 2**20:.0f} MiB free at {self.root}, "
                f"{num_bytes / 2**20:.0f} MiB needed; free some, or move {setting}"
            )

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder for half-written things, gone when the block ends unless moved away."""
        folder = self.path("tmp", f"{os.getpid()}-{uuid.uuid4().hex[:8]}", "x").parent
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what interrupted processes left in `tmp/`; live ones keep theirs."""
        for folder in self.path("tmp", "x").parent.iterdir():
            pid = folder.name.partition("-")[0]
            if not (pid.isdigit() and Path(f"/proc/{pid}").exists()):
                shutil.rmtree(folder, ignore_errors=True)


def publish(staged: Path, target: Path) -> None:
    """Move a finished folder or file into place at once; an equal earlier one is kept.

    Content is named by its digest, so whatever stands at `target` already is the same.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    if staged.is_dir():
        _as_readable_as_its_folder(staged)
    try:
        staged.rename(target)
    except OSError:
        if not target.exists():  # another process was first with the same content
            raise


def _as_readable_as_its_folder(staged: Path) -> None:
    """A server may run as another user than the job: some libraries write files for one alone."""
    readable = staged.stat().st_mode & 0o444
    for path in staged.rglob("*"):
        mode = path.stat().st_mode
        if path.is_file() and mode & readable != readable:
            path.chmod(mode & 0o7777 | readable)


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically: readers see the old content or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_text(text)
    staged.replace(path)


def _cache_folder(store: "ObjectStore") -> Path:
    """This machine's copy of a home on S3: by `TASTEMAKER_CACHE`, else the user's caches."""
    chosen = os.environ.get("TASTEMAKER_CACHE")
    user = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    at = store.settings
    name = digests.of_json([at.server, at.url])
    return (Path(chosen) if chosen else Path(user, "tastemaker")) / f"{at.bucket}-{name}"
