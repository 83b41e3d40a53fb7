"""The environment that images are built with and that none holds: `python -m images.make_tools`.

The installer, our wheel's backend and the SBOM's writer, from locks/build.lock, hashes checked.
"""

import os
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).parents[1] / "locks" / "build.lock"
TOOLS = Path(os.environ.get("TASTEMAKER_BUILD_TOOLS", "/opt/tools"))


def make_tools(folder: Path = TOOLS) -> Path:
    """Make the environment of build tools unless it is there.

    Returns:
        Its folder of programs.
    """
    programs = folder / "bin"
    if not (programs / "cyclonedx-py").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(programs / "python"), "-m", "pip", "install", "-q", "--no-deps"]
        subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True)
    return programs


def installer_environment() -> dict[str, str]:
    """Variables of the installer.

    Bytecode is compiled and never checked against its source: images are read-only, and copying a
    layer may change the times that the check compares.
    """
    found = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return found | {"PYC_INVALIDATION_MODE": "UNCHECKED_HASH", "UV_LINK_MODE": "copy"}


if __name__ == "__main__":
    make_tools()
