"""Take out of an environment what no process of ours reads: tests, headers, pages of other UIs.

    python -m images.trim /opt/venv

Only what is named here goes, so that a package that grows a needed folder keeps it. What a role
imports is checked afterwards, by `check_image.py` in the image itself.
"""

import argparse
import shutil
import sys
from pathlib import Path

# Test suites inside packages. Not `torch/testing` or `numpy/testing`: those are imported.
SUITES = (
    *("dask", "ibis", "matplotlib", "mpl_toolkits", "networkx", "numpy", "pandas", "pyarrow"),
    *("scipy", "sklearn", "sympy", "ray", "pycountry", "llvmlite", "numba", "anyio", "mlflow"),
)
NAMED = (
    "torch/test",  # compiled C++ tests
    *("torch/bin/test_*", "torch/bin/*Test", "torch/bin/protoc*"),  # not torch_shm_manager
    "ray/jars",  # Ray's Java API
    "ray/cpp",  # Ray's C++ API
    "ray/rllib",
    "feast/ui",  # the gateway has its own page
    "mlflow/server/js",  # the tracking server is an image of MLflow's own
    "pyarrow/include",
    "pyarrow/src",
)
KEEP_KUBERNETES = ("1.34", "1.35", "1.36", "1.37")  # schemas of releases that are supported


def trim(venv: Path) -> int:
    """Remove what is named above.

    Returns:
        Bytes freed.
    """
    (site,) = venv.glob("lib/python3.*/site-packages")
    doomed = [path for pattern in NAMED for path in site.glob(pattern)]
    for package in SUITES:
        doomed += [p for p in (site / package).rglob("tests") if p.is_dir()]
    schemas = site / "kubernetes_validate" / "kubernetes-json-schema"
    doomed += [p for p in schemas.glob("v*") if _release(p.name) not in KEEP_KUBERNETES]
    doomed += [p for p in site.rglob("*.a") if p.is_file()]
    freed = 0
    for path in doomed:
        if path.exists():  # a suite may have gone with the one around it
            freed += size(path)
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return freed


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder; links count nothing."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(f.lstat().st_size for f in files if f.is_file() and not f.is_symlink())


def _release(folder: str) -> str:
    return ".".join(folder.removeprefix("v").split(".")[:2])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("venv", type=Path)
    sys.stdout.write(f"trim: {trim(parser.parse_args().venv) / 1e6:.0f} MB freed\n")
