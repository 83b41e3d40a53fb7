"""`make images` as far as it goes without a Docker engine."""

import subprocess
import sys
from pathlib import Path

import pytest

from images import build
from images.roles import ROLES

ROOT = Path(__file__).parents[2]
# As BuildKit's `--metadata-file` writes it.
METADATA = {
    role: {
        "containerimage.digest": "sha256:" + format(i, "064x"),
        "image.name": f"registry.example.com/tastemaker/{role}:1.0.0",
    }
    for i, role in enumerate(ROLES)
}


def no_engine() -> bool:
    try:
        build.check_engine()
    except build.BuildError:
        return True
    return False


def test_digests_are_in_the_form_that_charts_take() -> None:
    found = build.digests(METADATA)
    assert found.keys() == ROLES.keys()
    assert found["train"]["digest"] == "sha256:" + format(1, "064x")


def test_a_role_without_a_digest_is_refused() -> None:
    with pytest.raises(build.BuildError, match="no digest of llm"):
        build.digests(METADATA | {"llm": {}})


def test_what_is_pushed_carries_its_sbom_and_provenance() -> None:
    command = build.bake_command(Path("m.json"), push=True)
    assert {"--push", "--sbom=true", "--provenance=mode=max"} <= set(command)
    assert "--push" not in build.bake_command(Path("m.json"), push=False)


def test_the_revision_is_the_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", f"file://{tmp_path}")
    found = build.variables("1.0.0", "cuda", "registry.example.com/team/")
    assert len(found["REVISION"]) == 40
    assert found["REGISTRY"] == "registry.example.com/team"
    assert found["WHEELS"] == str(tmp_path)
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert (ROOT / build.variables("1.0.0", "cpu", "")["WHEELS"]).is_dir()


def test_a_push_without_a_registry_is_refused() -> None:
    with pytest.raises(build.BuildError, match="REGISTRY"):
        build.build("1.0.0", "cpu", "", push=True)


@pytest.mark.skipif(not no_engine(), reason="a Docker engine runs here")
def test_without_an_engine_it_fails_with_one_line() -> None:
    command = [sys.executable, "-m", "images.build"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("images: no ")
