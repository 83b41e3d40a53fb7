"""Where CustomResourceDefinitions come from: a folder that is named, the checkout's, or a download.

The download is pinned (`crd_sources.yaml`): a file is written whole or not at all, and a second
call fetches only what is missing.
"""

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from tastemaker.core.errors import ConfigError, ServiceError
from tastemaker.core.home import write_text
from tastemaker.deployment.root import roots

SOURCES = Path(__file__).with_name("crd_sources.yaml")
TIMEOUT_S = 30.0


@dataclass(frozen=True)
class CrdFile:
    """One file to download.

    Attributes:
        url: Its pinned address.
        path: Where it is kept, below the cache's folder.
        sha256: Of its bytes; empty: not known beforehand.
    """

    url: str
    path: str
    sha256: str


def folders() -> list[Path]:
    """Folders with CRD files.

    `TASTEMAKER_CRDS` alone when it is set; else `../shared/crds` beside the checkout and what
    `fetch` downloaded, where they exist.

    Raises:
        ConfigError: `TASTEMAKER_CRDS` is not a folder.
    """
    if given := os.environ.get("TASTEMAKER_CRDS"):
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise ConfigError(f"TASTEMAKER_CRDS={given!r} is not a folder of CRD files")
        return [folder]
    beside = [root.parent / "shared" / "crds" for root in roots()]
    return [one for one in dict.fromkeys([*beside, cache_folder()]) if one.is_dir()]


def cache_folder(sources: Path = SOURCES) -> Path:
    """Where `fetch` keeps its files; other pins are another folder."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    pins = hashlib.sha256(sources.read_bytes()).hexdigest()[:16]
    return Path(base).expanduser() / "tastemaker" / "crds" / pins


def wanted(sources: Path = SOURCES) -> list[CrdFile]:
    """The pinned files."""
    content: Mapping[str, Mapping] = yaml.safe_load(sources.read_text())
    return [
        CrdFile(
            url=f"{project['url']}/{file['path']}",
            path=f"{name}/{Path(file['path']).name}",
            sha256=file.get("sha256", ""),
        )
        for name, project in content.items()
        for file in project["files"]
    ]


def fetch(progress: Callable[[str], None], sources: Path = SOURCES) -> Path:
    """Download the pinned files that are not there yet.

    Args:
        progress: Told one line a file.
        sources: List of what to download.

    Returns:
        The folder.

    Raises:
        ServiceError: A file cannot be reached, or its bytes are not the pinned ones.
    """
    folder = cache_folder(sources)
    files = wanted(sources)
    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True) as client:
        for number, file in enumerate(files, 1):
            target = folder / file.path
            if target.is_file():
                continue
            progress(f"[{number}/{len(files)}] {file.path}")
            write_text(target, _download(client, file))
    return folder


def _download(client: httpx.Client, file: CrdFile) -> str:
    try:
        reply = client.get(file.url).raise_for_status()
    except httpx.HTTPError as error:
        raise ServiceError(
            f"schema {file.path} could not be fetched from {file.url} ({error or type(error)}); "
            "what came before it is kept: run the command again with a network, or point "
            "TASTEMAKER_CRDS at a folder of CRD files"
        ) from None
    found = hashlib.sha256(reply.content).hexdigest()
    if file.sha256 and found != file.sha256:
        raise ServiceError(f"{file.url}: sha256 is {found}, but {file.sha256} is pinned")
    return reply.content.decode()
