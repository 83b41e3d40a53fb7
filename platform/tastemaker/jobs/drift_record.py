"""What drift checks found: one small file an environment holds the last, one report each."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from tastemaker.core.home import Home
from tastemaker.evaluation.drift import Finding

FOLDER = "drift"


def keep(home: Home, environment: str, key: str, findings: Sequence[Finding], html: str) -> None:
    """Keep a report and what it found; the newest is the environment's."""
    home.write_text(html, FOLDER, f"{key}.html")
    rows = [{**asdict(one), "drifted": one.drifted, "enough": one.enough} for one in findings]
    content = {"key": key, "drifted": any(one.drifted for one in findings), "findings": rows}
    home.write_text(json.dumps(content, indent=1), FOLDER, f"{environment}.json")


def latest_drifted(home: Home, environment: str) -> bool:
    """Whether the last check of an environment found drift; False where none was made."""
    text = home.read_text(FOLDER, f"{environment}.json")
    return bool(text and json.loads(text)["drifted"])
