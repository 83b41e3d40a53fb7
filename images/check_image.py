"""Check an image from inside: who runs, what imports, which commands answer, what is not there.

    python -m images.check_image control cpu    (in the image; standard library only)

Runs at the end of every build, as the user that will run.
"""

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from images.imports import third_party
from images.roles import ROLES, Role

UNWANTED = ("pip", "uv", "gcc", "cc", "g++", "make", "git")
COMPILERS = ("gcc", "cc")  # a CUDA image has them: Triton compiles launchers


def faults(role: Role, variant: str) -> list[str]:
    """What is wrong with the image that this process runs in; empty: nothing."""
    found = []
    if os.getuid() == 0:
        found.append("runs as root")
    allowed = COMPILERS if variant == "cuda" else ()
    there = [name for name in UNWANTED if name not in allowed and shutil.which(name)]
    found += [f"{name} is in the image" for name in there]
    before = _left()
    with caches_thrown_away():
        found += import_faults(role) + command_faults(role)
    return found + [f"{path} was written: name a cache for it" for path in _left() - before]


@contextmanager
def caches_thrown_away() -> Iterator[None]:
    """Point every variable that names a place in /tmp to a folder that is removed at the end."""
    named = {k: v for k, v in os.environ.items() if v.startswith("/tmp")}
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update({k: folder + v.removeprefix("/tmp") for k, v in named.items()})
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        try:
            yield
        finally:
            os.environ.update(named)
            del os.environ["TMPDIR"]
            tempfile.tempdir = None


def _left() -> set[str]:
    return {str(p) for folder in ("/tmp", os.environ["HOME"]) for p in Path(folder).iterdir()}


def import_faults(role: Role) -> list[str]:
    """What the role's modules and the foreign modules that they name fail to import."""
    root = Path(sysconfig.get_paths()["purelib"])
    modules = role.modules(root)
    foreign = dict.fromkeys(name.split(".")[0] for name in third_party(modules, root))
    found = []
    for name in [*foreign, *modules]:
        try:
            importlib.import_module(name)
        except Exception as error:  # a library that misses a file raises whatever it likes
            found.append(f"{name} does not import: {type(error).__name__}: {error}")
    return found


def command_faults(role: Role) -> list[str]:
    """Which of the role's commands do not answer `--help`."""
    found = []
    for command in role.commands:
        arguments = [*command, "--help"]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        if done.returncode:
            tail = done.stderr.strip().splitlines()[-3:]
            found.append(f"{' '.join(command)} --help: exit {done.returncode}: {' | '.join(tail)}")
    return found


def main() -> int:
    """Print what is wrong; the exit status says whether anything is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("variant", choices=("cpu", "cuda"))
    given = parser.parse_args()
    found = faults(ROLES[given.role], given.variant)
    for fault in found:
        sys.stderr.write(f"image {given.role}: {fault}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
