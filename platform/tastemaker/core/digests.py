"""Content digests: the names of everything that never changes once written."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

LENGTH = 16  # hex characters kept of a SHA-256: 64 bits, enough for any one home


def of_bytes(chunks: Iterable[bytes]) -> str:
    """Digest of a sequence of byte strings; the boundaries between them count.

    Args:
        chunks: Byte strings, in order.

    Returns:
        16 lower-case hex characters.
    """
    state = hashlib.sha256()
    for chunk in chunks:
        state.update(len(chunk).to_bytes(8, "big"))
        state.update(chunk)
    return state.hexdigest()[:LENGTH]


def of_json(value: Any) -> str:
    """Digest of a JSON value; the order of keys does not count."""
    return of_bytes([canonical_json(value).encode()])


def of_file(path: Path) -> str:
    """Digest of one file's bytes, read in pieces of 1 MiB."""
    state = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            state.update(piece)
    return state.hexdigest()[:LENGTH]


def of_folder(folder: Path, *, leave_out: frozenset[str] = frozenset()) -> str:
    """Digest of the names and bytes of all files below a folder.

    Args:
        folder: An existing folder.
        leave_out: Relative POSIX paths that do not count.

    Returns:
        16 lower-case hex characters.
    """
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    kept = [name for name in names if name not in leave_out]
    return of_bytes(f"{name}\0{of_file(folder / name)}".encode() for name in kept)


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no white space: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
