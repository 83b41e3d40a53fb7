"""The form of a result row, the same for every benchmark."""

import json
import os
import platform
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def row(
    metric: str,
    value: float,
    *,
    baseline: float | None,
    goal: float | None,
    unit: str,
    seeds: int,
    command: str,
) -> dict[str, Any]:
    """One figure with where it comes from.

    Args:
        metric: What was measured, on what.
        value: The figure; the mean over seeds.
        baseline: The same of the best baseline, measured in the same run.
        goal: What was aimed at; higher is better, unless the unit is one of times or costs.
        unit: fraction, tok/s, ...
        seeds: How many.
        command: What anyone runs to get it again.
    """
    return {
        "metric": metric,
        "value": round(value, 4),
        "baseline": None if baseline is None else round(baseline, 4),
        "goal": goal,
        "unit": unit,
        "seeds": seeds,
        "command": command,
        "commit": commit_of(RESULTS.parents[1]),
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, no GPU",
    }


def commit_of(checkout: Path) -> str:
    """The commit of a checkout, `+changes` behind it where other files than results differ."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(checkout), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    others = (".", ":!benchmarks/results", ":!benchmarks/RESULTS.md")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", *others)
    return git("rev-parse", "--short", "HEAD") + ("+changes" if changed else "")


def save(name: str, rows: list[dict[str, Any]]) -> None:
    """Write `results/<name>.json`."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps({"rows": rows}, indent=1) + "\n")
