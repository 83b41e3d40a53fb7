"""Where the files lie that are not part of the package: charts, manifests, compiled pipelines."""

import os
from pathlib import Path

from tastemaker.core.errors import ConfigError


def find(name: str) -> Path:
    """A file or folder of the repository, such as `helm/model`.

    `TASTEMAKER_ROOT` alone is looked at when it is set: what somebody names is never silently
    replaced by something else.

    Args:
        name: Path below the repository's root.

    Returns:
        Its absolute path.

    Raises:
        ConfigError: It is nowhere; the message names every place that was tried.
    """
    tried = [root / name for root in roots()]
    for path in tried:
        if path.exists():
            return path
    places = ", ".join(map(str, tried))
    raise ConfigError(
        f"{name} not found (tried {places}); run this in the repository, or set TASTEMAKER_ROOT"
    )


def roots() -> list[Path]:
    """Folders that may be the repository: `TASTEMAKER_ROOT`, else here, else the checkout."""
    if given := os.environ.get("TASTEMAKER_ROOT"):
        return [Path(given).expanduser().resolve()]
    return list(dict.fromkeys([Path.cwd().resolve(), Path(__file__).resolve().parents[3]]))
