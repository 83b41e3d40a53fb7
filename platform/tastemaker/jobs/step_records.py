"""What each step of the chain made, from what, and how long it took: beside the artifacts.

    runs/<digest>.json   a list, one entry each time that a step ended with this digest

An artifact's name is a digest of its content, so nothing that differs from one run to the next
can be in it. Lineage and the estimates of plans are read from here; where a file is missing they
say so. A step that finds its work done ends soon: of several entries the longest one counts.
"""

import inspect
import json
import os
import re
import resource
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from tastemaker import __version__
from tastemaker.core import digests
from tastemaker.core.home import Home

FOLDER = "runs"
_KEPT = 20  # entries of one digest, the newest
_RUN = ("TASTEMAKER_RUN", "KFP_RUN_ID", "ARGO_NODE_ID")  # who started it, the first that is set
_DIGEST = re.compile(r"[0-9a-f]{16}")
_CODE = "TASTEMAKER_CODE"  # commit that an image was built from


@dataclass(frozen=True)
class Done:
    """One end of a step.

    Attributes:
        step: Its name.
        made: Digest of what it made, or found made.
        inputs: Digests and names that it was given, by parameter.
        seconds: Of the wall clock.
        cpu_s: Core seconds of this process and those that it waited for.
        ended: When, ISO, UTC.
        run: Id of the pipeline run or the like, empty where nobody told.
        code: Commit of the code, empty where it is not known; `+` after it: with changes.
        version: Of this package.
    """

    step: str
    made: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_s: float = 0.0
    ended: str = ""
    run: str = ""
    code: str = ""
    version: str = __version__


def cpu_s() -> float:
    """Core seconds that this process and its ended children have used."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def record(
    home: Home,
    step: str,
    made: str,
    inputs: Mapping[str, str],
    *,
    seconds: float,
    cpu_seconds: float,
) -> None:
    """Keep that a step ended.

    Args:
        home: Where to.
        step: Its name.
        made: Digest of what it made.
        inputs: Digests and names that it was given.
        seconds: Of the wall clock.
        cpu_seconds: Core seconds.
    """
    done = Done(
        step=step,
        made=made,
        inputs=dict(inputs),
        seconds=round(seconds, 3),
        cpu_s=round(cpu_seconds, 3),
        ended=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        run=next((os.environ[name] for name in _RUN if os.environ.get(name)), ""),
        code=code_commit(),
    )
    entries = [asdict(one) for one in of(home, made)][-_KEPT + 1 :]
    home.write_text(json.dumps([*entries, asdict(done)], indent=1), FOLDER, f"{made}.json")


def record_call(
    home: Home,
    work: Callable[..., str],
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    made: str,
    *,
    seconds: float,
    cpu_seconds: float,
) -> None:
    """As `record`, of a step's function and what it was called with; settings by their digest."""
    if not _DIGEST.fullmatch(made):
        return  # it made nothing that is named by its content
    args, kwargs = arguments
    inputs = {}
    for name, value in inspect.signature(work).bind(*args, **kwargs).arguments.items():
        told = str(value)
        inputs[name] = digests.of_bytes([told.encode()]) if name.endswith("settings") else told
    record(home, work.__name__, made, inputs, seconds=seconds, cpu_seconds=cpu_seconds)


def of(home: Home, made: str) -> list[Done]:
    """How something was made, oldest first; none where nothing was kept or it cannot be read."""
    text = home.read_text(FOLDER, f"{made}.json")
    try:
        return [Done(**entry) for entry in json.loads(text or "[]")]
    except (ValueError, TypeError):  # of another version of this program
        return []


def longest(home: Home, made: str, step: str) -> Done | None:
    """The end of a step that did the work; None where nothing was kept."""
    found = [one for one in of(home, made) if one.step == step]
    return max(found, key=lambda one: one.seconds, default=None)


def of_step(home: Home, step: str) -> Iterator[Done]:
    """For each artifact that a step made, the end that did the work."""
    for name in home.names(FOLDER):
        digest, dot, rest = name.partition(".")
        if dot and rest == "json" and (found := longest(home, digest, step)):
            yield found


@cache
def code_commit() -> str:
    """Commit of the code that runs: of the image, else of the repository that it lies in."""
    if given := os.environ.get(_CODE):
        return given
    folder = Path(__file__).parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{head}+" if changed else head


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()
