"""Job: put right what processes left behind that did not end by themselves; run at every start.

Half-written folders, records of flows that say `running`, runs that a Prefect server takes for
running, checkpoints that no job will ever go on from, locks that nobody holds.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tastemaker.core.home import Home
from tastemaker.jobs import flow_records, prefect_runs

FLOW = "sweep"
_CHECKPOINT_DAYS = 14.0
_PARTIAL_DAYS = 2.0  # downloads that nobody took up again
_DAY_S = 86_400.0


def sweep(home: Home, *, now_s: float | None = None) -> list[str]:
    """Put right what can be told to be nobody's; idempotent by nature.

    Args:
        home: Whose.
        now_s: The present, seconds since 1970; default: now.

    Returns:
        What was done, a line each.
    """
    now_s = time.time() if now_s is None else now_s
    home.sweep()
    return [
        *_records(home),
        *prefect_runs.mark_crashed(home),
        *_old_files(home, "checkpoints", now_s - _CHECKPOINT_DAYS * _DAY_S),
        *_old_files(home, "partial", now_s - _PARTIAL_DAYS * _DAY_S),
        *_staged(home, now_s),
    ]


def _records(home: Home) -> Iterator[str]:
    """Records of processes that are gone: the next run of that key goes on."""
    for flow in home.names(flow_records.FOLDER):
        for record in flow_records.records(home, flow):
            if record.state == "running" and not flow_records.is_under_way(home, record):
                ended, why = int(time.time() * 1000), "its process was killed"
                lost = replace(record, state="failed", ended_ms=ended, error=why)
                flow_records.write(home, lost)
                yield f"{flow} {record.key}: its process {record.pid} is gone; marked as failed"


def _old_files(home: Home, folder: str, before_s: float) -> Iterator[str]:
    """A checkpoint is named by its inputs: one that stays untouched belongs to no job any more."""
    root = home.root / folder
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        if path.stat().st_mtime < before_s:
            home.remove(folder, path.name)
            yield f"{folder}/{path.name}: removed"


def _staged(home: Home, now_s: float) -> Iterator[str]:
    """Files of atomic writes that were killed: `.<name>.<pid>` beside their targets."""
    for folder in ("datasets", "evaluations", "evidence", "checkpoints", "features", "flows"):
        for path in sorted((home.root / folder).rglob(".*.*")):
            pid = path.name.rpartition(".")[2]
            dead = pid.isdigit() and not Path(f"/proc/{pid}").exists()
            if dead and path.is_file() and now_s - path.stat().st_mtime > 60:
                path.unlink(missing_ok=True)
                yield f"{path.relative_to(home.root)}: removed"
