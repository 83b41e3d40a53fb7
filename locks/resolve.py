"""Resolve every lock anew: `make lock`, the only command that changes them. Standard library only.

platform and llm are what a laptop installs. A lock of an image's role is the subset of platform
that the role's extra in pyproject.toml asks for, at platform's versions. `-cuda` locks take torch
from the package index, where it is a CUDA build; they resolve here and install on GPU machines.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

if __package__:
    from locks.install import LOCKS, ROOT, torch_source
else:
    from install import LOCKS, ROOT, torch_source

UV = ROOT / ".venv" / "uv" / "bin" / "uv"
PINS = "platform-versions.txt"  # there only while a subset resolves; the locks name it


@dataclass(frozen=True)
class Lock:
    """How one lock is resolved.

    Attributes:
        source: Requirements beside it, or an extra of pyproject.toml as `[name]`.
        subset: Whether every version is platform's.
        cuda: Whether torch and what goes with it are CUDA builds.
    """

    source: str
    subset: bool = False
    cuda: bool = False


TABLE = {
    "platform": Lock("platform.in"),
    "llm": Lock("llm.in"),
    "build": Lock("build.in", subset=True),
    "control": Lock("[control]", subset=True),
    "train": Lock("[train]", subset=True),
    "assistant": Lock("[serve]", subset=True),
    "train-cuda": Lock("[train]", subset=True, cuda=True),
    "llm-cuda": Lock("llm-cuda.in", cuda=True),
}


def command(name: str, lock: Lock) -> list[str]:
    """Arguments of uv for one lock."""
    source = [lock.source]
    if lock.source.startswith("["):
        source = ["../pyproject.toml", "--extra", lock.source.strip("[]")]
    found = [str(UV), "pip", "compile", "-q", *source, "-o", f"{name}.lock"]
    found += ["--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]
    found += ["--no-emit-find-links", "--custom-compile-command", "make lock"]
    if lock.subset:
        found += ["--constraint", PINS]
    return found + ([] if lock.cuda else ["--override", "overrides.txt", *torch_source()])


def pinned(lock: Path) -> dict[str, str]:
    """Package -> version of a lock, the build's local part (`+cpu`) left out."""
    lines = (line for line in lock.read_text().splitlines() if line[:1].isalnum())
    pairs = (line.split(" ")[0].split("==") for line in lines)
    return {name: version.partition("+")[0] for name, version in pairs}


def main() -> int:
    environment = {k: v for k, v in os.environ.items() if k != "UV_FIND_LINKS"}
    for name in sys.argv[1:] or TABLE:
        pins = pinned(LOCKS / "platform.lock")
        constraints = LOCKS / PINS
        constraints.write_text("".join(f"{one}=={version}\n" for one, version in pins.items()))
        try:
            arguments = command(name, TABLE[name])
            done = subprocess.run(arguments, cwd=LOCKS, env=environment, check=False)
        finally:
            constraints.unlink()
        if done.returncode:
            sys.stderr.write(f"lock: {name} does not resolve; {name}.lock is as it was\n")
            return done.returncode
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
