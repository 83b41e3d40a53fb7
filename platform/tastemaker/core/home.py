"""The home: where everything lives. One setting, `TASTEMAKER_HOME`.

tables/<name>-<digest>.lance   the tables of dataset versions
datasets/<digest>.yaml         dataset versions
bundles/<digest>/              trained models and indexes
evaluations/<digest>/          metrics and reports of bundles
environments/<env>/<model>.yaml  which bundle is live where
checkpoints/                   of jobs under way
features/                      of users and items, offline and online
run/                           what is served: logs, traces, the operational database
tmp/                           half-written things; swept at the next start
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tastemaker.core.errors import ConfigError, TastemakerError

DEFAULT = ".tastemaker"
MIN_FREE_BYTES = 512 << 20  # a job does not start with less


class Home:
    """A folder that holds everything, with atomic writes.

    Args:
        root: An absolute local path; made when missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @classmethod
    def open(cls, location: str | None = None) -> "Home":
        """Open the home, making its folder when it is missing.

        Args:
            location: A path or `file://` URL; default `TASTEMAKER_HOME`, else `./.tastemaker`.

        Raises:
            ConfigError: A scheme that is not served yet, or a path that cannot be a folder.
        """
        location = location or os.environ.get("TASTEMAKER_HOME") or DEFAULT
        if "://" in location and not location.startswith("file://"):
            raise ConfigError(
                f"TASTEMAKER_HOME={location!r}: only local paths and file:// URLs work here"
            )
        home = cls(Path(location.removeprefix("file://")).expanduser())
        try:
            home.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"TASTEMAKER_HOME={location!r} is not usable: {error}") from None
        return home

    def path(self, *parts: str) -> Path:
        """A path below the home; its parent folders exist afterwards."""
        path = self.root.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def database(self) -> str:
        """URL of the operational database: `TASTEMAKER_DATABASE`, else a file in the home."""
        url = os.environ.get("TASTEMAKER_DATABASE", "")
        return url or f"sqlite:///{self.path('run', 'assistant.db')}"

    def require_space(self, num_bytes: int = MIN_FREE_BYTES) -> None:
        """Refuse to start work that the disk has no room for.

        Raises:
            TastemakerError: Fewer bytes are free than asked.
        """
        free = shutil.disk_usage(self.root).free
        if free < num_bytes:
            raise TastemakerError(
                f"no disk space: {free / 2**20:.0f} MiB free at {self.root}, "
                f"{num_bytes / 2**20:.0f} MiB needed; free some, or move TASTEMAKER_HOME"
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
    try:
        staged.rename(target)
    except OSError:
        if not target.exists():  # another process was first with the same content
            raise


def write_text(path: Path, text: str) -> None:
    """Write a small file atomically: readers see the old content or the new, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    staged.write_text(text)
    staged.replace(path)
