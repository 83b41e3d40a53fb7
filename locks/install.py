"""Set up both environments from their locks: `python3.11 locks/install.py`. Standard library only.

.venv      platform: pipelines, training, model servers, assistant
.venv-llm  the router's engine: vLLM has pins of its own

Idempotent: an environment whose lock has not changed is left alone. torch's CPU build comes from
the folder that PIP_FIND_LINKS names where it holds one, else from PyTorch's CPU index.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

LOCKS = Path(__file__).parent
ROOT = LOCKS.parent
UV = "uv==0.13.9"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
NEEDED_BYTES = 8 << 30
ENVIRONMENTS = {
    ".venv": ("platform.lock", "import torch, kfp, lance, tastemaker"),
    ".venv-llm": ("llm.lock", "import torch, vllm.version, tastemaker"),
}


class SetupError(Exception):
    """A step that failed, with what to do about it."""


def say(text: str) -> None:
    sys.stdout.write(f"setup: {text}\n")
    sys.stdout.flush()


def run(step: str, command: list[str], mend: str, environment: dict[str, str]) -> None:
    """Run one step; its output goes to the terminal."""
    say(step)
    start = time.monotonic()
    result = subprocess.run(command, env=environment, check=False)
    if result.returncode:
        raise SetupError(f"{step}: failed (exit {result.returncode}).\n  To mend it: {mend}")
    say(f"{step}: {time.monotonic() - start:.0f} s")


def torch_source() -> list[str]:
    """Where the CPU build of torch is found, as arguments of uv."""
    links = os.environ.get("PIP_FIND_LINKS", "").split()
    for link in links:
        folder = Path(link.removeprefix("file://"))
        if folder.is_dir() and any(folder.glob("torch-*+cpu-*.whl")):
            return ["--find-links", str(folder)]
    return ["--extra-index-url", CPU_INDEX, "--index-strategy", "unsafe-best-match"]


def digest(lock: Path) -> str:
    parts = [lock.read_bytes(), (ROOT / "pyproject.toml").read_bytes(), str(ROOT).encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def environment_of(folder: Path) -> dict[str, str]:
    """Variables of the commands that fill an environment; pip's certificates are uv's, too."""
    found = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    if trusted := found.get("PIP_CERT"):
        found.setdefault("SSL_CERT_FILE", trusted)
    return {**found, "VIRTUAL_ENV": str(folder)}


def install(name: str, lock: Path, check: str) -> None:
    folder = ROOT / name
    stamp = folder / "lock.sha256"
    if stamp.is_file() and stamp.read_text() == digest(lock):
        say(f"{name} is current")
        return
    python = str(folder / "bin" / "python")
    environment = environment_of(folder)
    again = f"remove {name} and run `make setup` again"
    if not (folder / "bin" / "python").exists():
        venv = [sys.executable, "-m", "venv", "--clear", str(folder)]
        run(f"{name}: new environment", venv, "install Python's venv module", environment)
    uv = ROOT / ".venv" / "uv" / "bin" / "uv"
    if not uv.exists():
        pip = [python, "-m", "pip", "install", "-q", "--target", str(uv.parents[1]), UV]
        run("uv, the installer", pip, "check that pip reaches its package index", environment)
    sync = [str(uv), "pip", "sync", "--require-hashes", "--compile-bytecode", *torch_source()]
    run(
        f"{name}: packages of {lock.name}",
        [*sync, str(lock)],
        "check the network and the disk (8 GB), or point PIP_FIND_LINKS at a folder that holds "
        "torch's CPU wheel, or (UnknownIssuer: a proxy signs here) SSL_CERT_FILE at its "
        f"certificates; then {again}",
        environment,
    )
    package = [str(uv), "pip", "install", "--no-deps", "--no-build-isolation", "-q", "-e"]
    run(f"{name}: tastemaker itself", [*package, str(ROOT)], again, environment)
    run(f"{name}: imports", [python, "-c", check], again, environment)
    stamp.write_text(digest(lock))


def main() -> int:
    if sys.version_info[:2] != (3, 11):
        say(f"needs Python 3.11, this is {sys.version.split()[0]}; run `make setup PYTHON=...`")
        return 2
    try:
        missing = [n for n in ENVIRONMENTS if not (ROOT / n / "lock.sha256").is_file()]
        free = shutil.disk_usage(ROOT).free
        if missing and free < NEEDED_BYTES:
            raise SetupError(f"disk: {free >> 30} GiB free at {ROOT}, 8 GiB needed")
        for name, (lock, check) in ENVIRONMENTS.items():
            install(name, LOCKS / lock, check)
    except SetupError as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
