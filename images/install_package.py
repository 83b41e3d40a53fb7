"""Build our wheel and install it alone, beside an environment or into it.

    python -m images.install_package /opt/venv /opt/package

An image copies the second folder over the first: our code is a small layer of its own.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from images.make_tools import TOOLS, installer_environment, make_tools
from locks.install import ROOT


def install_package(venv: Path, prefix: Path, tools: Path = TOOLS, source: Path = ROOT) -> None:
    """Install our package without its dependencies, which the lock has brought.

    Args:
        venv: Environment that will run it; its scripts name this interpreter.
        prefix: Where its files go; the environment itself, or a folder laid over it later.
        tools: Where the build tools lie, or shall lie.
        source: Folder of pyproject.toml.
    """
    programs = make_tools(tools)
    with tempfile.TemporaryDirectory() as folder:
        build = [str(programs / "python"), "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
        subprocess.run(build, cwd=source, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = Path(folder).glob("*.whl")
        install = [str(programs / "uv"), "pip", "install", "-q", "--no-deps", "--no-index"]
        install += ["--compile-bytecode", "--python", str(venv / "bin" / "python")]
        install += [] if prefix == venv else ["--prefix", str(prefix)]
        subprocess.run([*install, str(wheel)], env=installer_environment(), check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("venv", type=Path)
    parser.add_argument("prefix", type=Path)
    given = parser.parse_args()
    if not (given.venv / "bin" / "python").exists():  # a build stage that needs no dependency
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", given.venv], check=True)
    install_package(given.venv, given.prefix)
