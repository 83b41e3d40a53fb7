"""Make a role's virtual environment from its lock, every hash checked.

    python -m images.make_venv control cpu /opt/venv

torch's CPU build comes from where `locks/install.py` finds it; CUDA builds come from the package
index.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from images.make_tools import TOOLS, installer_environment, make_tools
from locks.install import LOCKS, torch_source

VARIANTS = ("cpu", "cuda")


def lock_file(role: str, variant: str) -> Path:
    """The lock of a role; a role that has none for CUDA is alike in both variants.

    Raises:
        ValueError: Unknown variant, or a role without a lock.
    """
    if variant not in VARIANTS:
        raise ValueError(f"variant {variant!r} is not one of {', '.join(VARIANTS)}")
    names = [f"{role}-cuda.lock", f"{role}.lock"] if variant == "cuda" else [f"{role}.lock"]
    found = [LOCKS / name for name in names if (LOCKS / name).is_file()]
    if not found:
        raise ValueError(f"role {role!r} has no lock in {LOCKS}")
    return found[0]


def make_venv(role: str, variant: str, folder: Path, tools: Path = TOOLS) -> None:
    """Make an environment that holds exactly what a role's lock lists.

    Args:
        role: A target of the Dockerfile.
        variant: cpu or cuda.
        folder: Where; it must stay there, scripts name it.
        tools: Where the build tools lie, or shall lie.
    """
    uv = make_tools(tools) / "uv"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder)], check=True
    )
    sync = [str(uv), "pip", "sync", "--require-hashes", "--compile-bytecode"]
    sync += ["--python", str(folder / "bin" / "python")]
    sync += torch_source() if variant == "cpu" else []
    subprocess.run([*sync, str(lock_file(role, variant))], env=installer_environment(), check=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("role")
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    make_venv(given.role, given.variant, given.folder)
