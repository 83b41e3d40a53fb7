"""What charts and pipelines start answers as uid 10001 on a read-only root.

With the image's variables, on the platform's environment: it holds what assistant and train need.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from images.roles import ROLES
from tests.images.container import ROOT, container, missing
from tests.images.test_dockerfile import STAGES

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing() or "namespaces"),
]
HERE = ("python",)  # its other programs name this environment's folder, which the root hides
COMMANDS = [c for role in ("assistant", "train") for c in ROLES[role].commands if c[0] in HERE]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_answers(command: tuple[str, ...]) -> None:
    variables = dict(re.findall(r"(\w+)=(\S*)", " ".join(STAGES["runtime"].all("ENV"))))
    variables["PYTHONPATH"] = "/srv/platform"  # the checkout may lie where the root is hidden
    full = container(Path(sys.prefix), [*command, "--help"], variables, [ROOT / "platform"])
    done = subprocess.run(full, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()
