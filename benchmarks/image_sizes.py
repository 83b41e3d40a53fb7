"""Size of each role's environment in its image, beside one environment for everything.

    python -m benchmarks.image_sizes                     (several minutes, 8 GB of disk at a time)
    python -m benchmarks.image_sizes --roles control     (only its row anew)

Protocol: the scripts of the Dockerfile make the CPU variant of each role's environment from its
lock, trim it, and lay our package over it; bytes of all files are counted, bytecode included. The
baseline is what an image without roles would hold: platform.lock by the same installer, untrimmed;
for llm its own lock untrimmed, because vLLM's pins do not meet the platform's.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.rows import RESULTS, row, save
from images.install_package import install_package
from images.make_venv import make_venv
from images.roles import ROLES
from images.trim import size, trim
from locks.install import ROOT

COMMAND = "python -m benchmarks.image_sizes"
MIB = 1 << 20


def environment_bytes(role: str, folder: Path) -> tuple[int, int]:
    """Make a role's environment, and remove it again.

    Returns:
        Bytes before trimming, and in the image.
    """
    venv = folder / role
    make_venv(role, "cpu", venv, folder / "tools")
    before = size(venv)
    trim(venv)
    install_package(venv, venv, folder / "tools")
    after = size(venv)
    shutil.rmtree(venv)
    return before, after


def measured(role: str, folder: Path, platform: int) -> dict[str, Any]:
    """The row of a role."""
    before, after = environment_bytes(role, folder)
    return row(
        f"environment in the {role} image",
        after / MIB,
        baseline=(before if role == "llm" else platform) / MIB,
        goal=None,
        unit="MiB",
        seeds=1,
        command=COMMAND,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--roles", nargs="+", choices=ROLES, default=list(ROLES))
    given = parser.parse_args()
    platform = size(ROOT / ".venv" / "lib")
    file = RESULTS / "images.json"
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        for role in given.roles:
            new = measured(role, Path(folder), platform)
            Console().print(new["metric"], new["value"], new["unit"])
            rows = [one for one in rows if one["metric"] != new["metric"]] + [new]
            save("images", rows)


if __name__ == "__main__":
    main()
