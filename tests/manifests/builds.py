"""What kustomize makes of a folder, and what Argo CD makes of an ApplicationSet."""

import functools
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ("staging", "production")
WAVE = "argocd.argoproj.io/sync-wave"
GO_FIELD = re.compile(r"\{\{(.*?)\}\}")
Object = dict[str, Any]

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl (for `kubectl kustomize`) is not installed"
)


@functools.cache
def build(folder: str) -> tuple[Object, ...]:
    """`kubectl kustomize` of a folder of the repository; only local files are read."""
    done = subprocess.run(
        ["kubectl", "kustomize", str(ROOT / folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    return tuple(one for one in yaml.safe_load_all(done.stdout) if one)


def cluster(environment: str) -> tuple[Object, ...]:
    return build(f"manifests/clusters/{environment}")


def configs(environment: str) -> tuple[Object, ...]:
    return build(f"manifests/infrastructure/configs/{environment}")


def of_kind(objects: tuple[Object, ...], kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def sources(application: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    spec = application["spec"]
    return spec["sources"] if "sources" in spec else [spec["source"]]


def wave(application: Mapping[str, Any]) -> int:
    return int(application["metadata"]["annotations"][WAVE])


def expand(applications: Mapping[str, Any]) -> Iterator[Object]:
    """The Applications that the git files generator of Argo CD makes of an ApplicationSet.

    Patterns and exclusions as its documentation says; of Go's templates only what ours use.
    """
    (generator,) = applications["spec"]["generators"]
    patterns = generator["git"]["files"]
    wanted = [one["path"] for one in patterns if not one.get("exclude")]
    left_out = [one["path"] for one in patterns if one.get("exclude")]
    for path in sorted((ROOT / "manifests").rglob("*.yaml")):
        name = str(path.relative_to(ROOT))
        if any(_matches(name, one) for one in wanted) and not any(
            _matches(name, one) for one in left_out
        ):
            yield _filled(applications["spec"]["template"], Path(name))


def _matches(name: str, pattern: str) -> bool:
    """A `*` of the generator does not cross a slash."""
    return name.count("/") == pattern.count("/") and fnmatch(name, pattern)


def _filled(node: Any, path: Path) -> Any:
    if isinstance(node, dict):
        return {key: _filled(value, path) for key, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, path) for value in node]
    if not isinstance(node, str):
        return node
    known = {
        ".path.filename": path.name,
        ".path.path": str(path.parent),
        'trimSuffix ".yaml" .path.filename': path.stem,
    }
    return GO_FIELD.sub(lambda found: known[found[1].strip()], node)
