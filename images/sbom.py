"""Write the bill of materials of an environment: CycloneDX JSON.

python -m images.sbom control cpu /opt/venv /opt/sbom/sbom.cdx.json
"""

import argparse
import hashlib
import json
import subprocess
from pathlib import Path

from images.make_tools import TOOLS, make_tools
from images.make_venv import VARIANTS, lock_file
from locks.install import ROOT

SPEC = "1.6"


def write_sbom(role: str, variant: str, venv: Path, path: Path, tools: Path = TOOLS) -> None:
    """List every installed distribution of an environment.

    The document is not validated here, which takes minutes for a large environment; a test does.

    Args:
        role: Which image.
        variant: cpu or cuda.
        venv: The environment.
        path: File to write.
        tools: Where the build tools lie, or shall lie.
    """
    lock = lock_file(role, variant)
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [str(make_tools(tools) / "cyclonedx-py"), "environment", "--spec-version", SPEC]
    command += ["--output-format", "JSON", "--output-reproducible", "--no-validate"]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "application"]
    subprocess.run([*command, "-o", str(path), str(venv / "bin" / "python")], check=True)
    document = json.loads(path.read_text())
    own = [("role", role), ("variant", variant), ("lock", lock.name), ("lock.sha256", _sha(lock))]
    properties = document["metadata"].setdefault("properties", [])
    properties += [{"name": f"tastemaker:{name}", "value": value} for name, value in own]
    path.write_text(json.dumps(document, indent=1) + "\n")


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("role")
    parser.add_argument("variant", choices=VARIANTS)
    parser.add_argument("venv", type=Path)
    parser.add_argument("path", type=Path)
    given = parser.parse_args()
    write_sbom(given.role, given.variant, given.venv, given.path)
