"""The files of simulated conversations: the lines of a run under way, and a result."""

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tastemaker.core import digests
from tastemaker.core.errors import ConfigError
from tastemaker.core.home import Home
from tastemaker.evaluation.intervals import Interval
from tastemaker.evaluation.simulated_outcomes import Outcome, cases, compare, summary
from tastemaker.evaluation.simulated_report import report

OURS, THEIRS = "a", "b"  # sides of a comparison
LINES = "conversations.jsonl"


@contextmanager
def alone(path: Path) -> Iterator[IO[str]]:
    """The lines of a run, for this process alone.

    Raises:
        ConfigError: Another process has them.
    """
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"{path}: the same simulation runs in another process") from None
        yield file


def read_done(file: IO[str]) -> dict[str, dict[str, Outcome]]:
    """What has ended, by side and case; half a line of a killed run is cut off."""
    file.seek(0)
    text = file.read()
    whole = text[: text.rfind("\n") + 1]
    file.seek(0)
    file.truncate(len(whole.encode()))
    done: dict[str, dict[str, Outcome]] = {}
    for line in whole.splitlines():
        row = json.loads(line)
        outcome = Outcome.of_record({k: v for k, v in row.items() if k != "side"})
        done.setdefault(row["side"], {})[outcome.case] = outcome
    return done


def keep_result(
    home: Home,
    identity: Mapping[str, Any],
    done: Mapping[str, Mapping[str, Outcome]],
    took: Mapping[str, Any],
) -> str:
    """Write figures, cases, comparison and report of a run that has ended.

    Args:
        home: Where to.
        identity: What was run; `urls` by side among it.
        done: Outcomes by side and case.
        took: `held` conversations of this process and its `seconds`.

    Returns:
        Digest of the result.
    """
    sides = {side: [own[case] for case in sorted(own)] for side, own in done.items()}
    ours, theirs = sides[OURS], sides.get(THEIRS)
    lines = [{"side": s, **o.record()} for s, all_of in sides.items() for o in all_of]
    digest = digests.of_json([identity, lines])
    at = ("simulations", digest)
    home.write_text("".join(json.dumps(line) + "\n" for line in lines), *at, LINES)
    if theirs:
        gains = compare(cases(ours), cases(theirs))
        home.write_text(json.dumps(flat(gains), indent=1, sort_keys=True), *at, "gains.json")
        home.write_text(digests.canonical_json(cases(theirs)), *at, "against-cases.json")
        figures = json.dumps(flat(summary(theirs)), indent=1, sort_keys=True)
        home.write_text(figures, *at, "against-metrics.json")
    home.write_text(digests.canonical_json(cases(ours)), *at, "cases.json")
    home.write_text(json.dumps({**identity, **took}, indent=1), *at, "run.json")
    home.write_text(report(ours, theirs, identity["urls"], took), *at, "report.html")
    figures = json.dumps(flat(summary(ours)), indent=1, sort_keys=True)
    home.write_text(figures, *at, "metrics.json")  # last: it says that all is there
    return digest


def flat(found: Mapping[str, Interval]) -> dict[str, float]:
    """Figures by name, with `_low` and `_high`."""
    out: dict[str, float] = {}
    for name, interval in found.items():
        out |= {
            name: interval.value,
            f"{name}_low": interval.low,
            f"{name}_high": interval.high,
        }
    return out
