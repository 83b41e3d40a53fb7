"""Serve every flow in one process: `python -m pipelines.flows.serve --preset default`.

Sweeps first: what the last one left behind is put right before anything runs again.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from prefect import serve

from pipelines.flows.deployments import PLANS, Plan, deployments
from pipelines.flows.loop import PRESET
from tastemaker.core.home import Home
from tastemaker.core.lifetime import OWNER
from tastemaker.jobs.sweep import sweep

_LIMIT = 4  # flow runs at a time


def serve_all(preset: str, plans: Sequence[Plan] = PLANS) -> None:
    """Sweep, then serve until told to stop.

    Args:
        preset: Of the loop.
        plans: When what runs.
    """
    for line in sweep(Home.open()):
        sys.stderr.write(f"{line}\n")
    os.environ[OWNER] = str(os.getpid())  # flow runs end with this process
    serve(*deployments(preset, plans), limit=_LIMIT, pause_on_shutdown=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default=PRESET)
    serve_all(parser.parse_args().preset)
