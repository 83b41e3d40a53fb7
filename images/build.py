"""Build every image with BuildKit: `python -m images.build`. Standard library only.

With --push the images go to the registry with an SBOM and full provenance attached, and their
digests to images/digests.json, in the form that charts take as `image.digest`. Without it they go
to the local Docker engine, which keeps no attestations.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from images.make_venv import VARIANTS
from images.roles import ROLES

ROOT = Path(__file__).parents[1]
BAKE = "images/docker-bake.hcl"
DIGESTS = ROOT / "images" / "digests.json"


class BuildError(Exception):
    """Nothing was built, and why, in one line."""


def bake_command(metadata: Path, *, push: bool) -> list[str]:
    """Arguments of BuildKit.

    Args:
        metadata: File that it writes digests to.
        push: To the registry with attestations, else to the local engine.
    """
    command = ["docker", "buildx", "bake", "--file", BAKE, "--metadata-file", str(metadata)]
    return [*command, *(["--push", "--sbom=true", "--provenance=mode=max"] if push else ["--load"])]


def variables(version: str, variant: str, registry: str) -> dict[str, str]:
    """Values of the bake file's variables; the folder of PIP_FIND_LINKS holds extra wheels."""
    links = os.environ.get("PIP_FIND_LINKS", "").removeprefix("file://")
    return {
        "REGISTRY": registry.rstrip("/"),
        "VERSION": version,
        "VARIANT": variant,
        "REVISION": _git("rev-parse", "HEAD"),
        "SOURCE": _git("remote", "get-url", "origin"),
        "WHEELS": links if links and Path(links).is_dir() else "locks",
    }


def digests(metadata: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """What charts need, by role, out of BuildKit's metadata.

    Raises:
        BuildError: A role has no digest.
    """
    found = {}
    for role in ROLES:
        built = metadata.get(role, {})
        if "containerimage.digest" not in built:
            raise BuildError(f"BuildKit reports no digest of {role}")
        names = {"image": built["image.name"], "digest": built["containerimage.digest"]}
        found[role] = names
    return found


def check_engine() -> None:
    """Refuse where nothing can build.

    Raises:
        BuildError: No docker, no engine that answers, or no buildx.
    """
    if shutil.which("docker") is None:
        raise BuildError("no `docker` on PATH: install Docker with buildx, or see images/README.md")
    for what, command in (("Docker engine", "info"), ("docker buildx", "buildx version")):
        done = subprocess.run(
            ["docker", *command.split()], capture_output=True, text=True, check=False
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines()[-1]
            raise BuildError(f"no {what} here: {said}")


def build(version: str, variant: str, registry: str, *, push: bool) -> None:
    """Build all roles and write their digests.

    Raises:
        BuildError: No engine, nowhere to push to, or a build that failed.
    """
    if push and not registry:
        raise BuildError("PUSH needs REGISTRY=<host>/<path>")
    check_engine()
    with tempfile.TemporaryDirectory() as folder:
        metadata = Path(folder) / "metadata.json"
        environment = os.environ | variables(version, variant, registry)
        command = bake_command(metadata, push=push)
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            raise BuildError("a build failed; its output is above")
        found = digests(json.loads(metadata.read_text()))
    DIGESTS.write_text(json.dumps(found, indent=1) + "\n")
    for role, one in found.items():
        sys.stdout.write(f"{role}: {one['image']} {one['digest']}\n")


def main() -> int:
    """Parse, build, and say in one line what is in the way."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    own = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    parser.add_argument("--version", default=own)
    parser.add_argument("--variant", choices=VARIANTS, default="cpu")
    parser.add_argument("--registry", default="")
    parser.add_argument("--push", action="store_true")
    given = parser.parse_args()
    try:
        build(given.version, given.variant, given.registry, push=given.push)
    except BuildError as error:
        sys.stderr.write(f"images: {error}\n")
        return 1
    return 0


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    raise SystemExit(main())
