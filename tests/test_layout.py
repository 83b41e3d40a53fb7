"""Guards on the repository itself: folders, import names, sizes, package docstrings."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "platform" / "tastemaker"
TOP = {
    "README.md",
    "CHANGELOG.md",
    "LICENSE",
    "Makefile",
    "Dockerfile",
    "pyproject.toml",
    "locks",
    "platform",
    "pipelines",
    "helm",
    "manifests",
    "images",
    "tests",
    "benchmarks",
    "docs",
}


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return listed.stdout.split("\n")[:-1]


def test_only_known_names_stand_at_the_top() -> None:
    top = {path.split("/")[0] for path in tracked()}
    assert {name for name in top if not name.startswith(".")} <= TOP


def test_platform_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()
    code = "import platform; print(platform.system())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() in {"Linux", "Darwin"}


def test_package_files_hold_a_docstring_and_no_imports() -> None:
    for init in PACKAGE.rglob("__init__.py"):
        body = ast.parse(init.read_text()).body
        assert ast.get_docstring(ast.parse(init.read_text())), init
        assert not any(isinstance(node, ast.Import | ast.ImportFrom) for node in body), init


def test_no_module_is_named_for_nothing() -> None:
    names = {path.stem for path in PACKAGE.rglob("*.py")}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


def test_files_stay_readable() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert len(path.read_text().splitlines()) <= 500, f"{path} holds two concepts"


def test_no_data_or_weights_in_the_repository() -> None:
    bad = (".safetensors", ".pt", ".zip", ".parquet", ".lance", ".npz", ".gz")
    assert not [path for path in tracked() if path.endswith(bad)]


def test_components_hold_no_logic() -> None:
    for path in (ROOT / "pipelines" / "components").glob("*.py"):
        if path.stem in {"image"}:
            continue
        tree = ast.parse(path.read_text())
        functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        assert len(functions) == 1, path
        doc, load, call = functions[0].body
        assert isinstance(doc, ast.Expr), path
        assert isinstance(load, ast.ImportFrom), path
        assert isinstance(call, ast.Return), path
        assert isinstance(call.value, ast.Call), path
        modules = {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
        assert modules == {"kfp", "pipelines.components.image"}, path
