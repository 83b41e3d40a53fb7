"""README and docs name only paths and commands that exist; every verb is documented."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tastemaker.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("*/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_named_in_a_page_exist(page: Path) -> None:
    for path in re.findall(
        r"`((?:platform|pipelines|helm|manifests|images|tests|benchmarks|docs|locks)/[\w./-]*)`",
        page.read_text(),
    ):
        assert (ROOT / path).exists(), f"{page.name} names {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_make_targets_named_in_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        named = set(re.findall(r"`?make ([a-z]+)", page.read_text()))
        prose = {"sure", "it", "a", "the"}
        assert named - prose <= targets, page


def test_every_verb_is_in_the_readme_or_docs() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    group = typer.main.get_command(app)
    for verb in group.commands:  # type: ignore[attr-defined]
        assert f"tastemaker {verb}" in text, f"`tastemaker {verb}` is documented nowhere"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; import tastemaker.cli;"
        "heavy = ('torch','kfp','ray','mlflow','lance','kserve','feast','mcp');"
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
