"""Sources: from a catalogue's name to its rows, and to the digest of what is read."""

import os
from pathlib import Path

from tastemaker.core import digests
from tastemaker.core.errors import ConfigError, DataError
from tastemaker.data import demo_catalogue, fashion, folder, ikea_home
from tastemaker.data.curation import CurateConfig
from tastemaker.data.records import RawCatalogue

DATA = "TASTEMAKER_DATA"  # folder of the research sets
FOLDER = "folder:"
NAMES = "demo, fashion, ikea-home or folder:/path/to/folder"


def open_source(catalog: str, settings: CurateConfig) -> RawCatalogue:
    """Open a catalogue.

    Args:
        catalog: demo, fashion, ikea-home or folder:/path.
        settings: Its `demo` group sizes the demo catalogue.

    Returns:
        The catalogue's rows; images are read as they are asked for.

    Raises:
        ConfigError: An unknown name, or TASTEMAKER_DATA is not set.
        DataError: The folder or set cannot be read.
    """
    if catalog == "demo":
        return demo_catalogue.open_demo(settings.demo)
    if catalog == "fashion":
        return fashion.open_fashion(_research_set(catalog))
    if catalog == "ikea-home":
        return ikea_home.open_ikea_home(_research_set(catalog))
    return folder.open_folder(_folder(catalog))


def source_digest(catalog: str, settings: CurateConfig) -> str:
    """Digest of what `open_source` would read.

    Of files it takes name, size and time of change, so that it is known in a moment.

    Raises:
        ConfigError: An unknown name, or TASTEMAKER_DATA is not set.
        DataError: The folder or set cannot be read.
    """
    if catalog == "demo":
        return digests.of_json(
            ["demo", demo_catalogue.VERSION, settings.demo.model_dump(mode="json")]
        )
    if catalog in ("fashion", "ikea-home"):
        return _files_digest(_research_set(catalog))
    path = _folder(catalog)
    folder.open_folder(path)  # a folder that cannot be a catalogue is refused before any step runs
    return _files_digest(path)


def _folder(catalog: str) -> Path:
    if not catalog.startswith(FOLDER):
        raise ConfigError(f"unknown catalogue {catalog!r}; it is {NAMES}")
    path = Path(catalog.removeprefix(FOLDER)).expanduser()
    if not path.is_dir():
        raise DataError(f"catalogue {catalog!r}: {path.resolve()} is not a folder")
    return path


def _research_set(name: str) -> Path:
    root = os.environ.get(DATA, "")
    if not root:
        raise ConfigError(
            f"catalogue {name!r} needs {DATA}, the folder that holds {name}/; it is not set"
        )
    path = Path(root).expanduser() / name
    if not path.is_dir():
        raise DataError(f"catalogue {name!r}: {DATA}={root!r} holds no folder {name}/")
    return path


def _files_digest(root: Path) -> str:
    listed = []
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        stat = path.stat()
        listed.append([path.relative_to(root).as_posix(), stat.st_size, stat.st_mtime_ns])
    return digests.of_json(listed)
