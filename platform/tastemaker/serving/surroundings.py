"""What every process of a home shares, and how patient the reconciler is with it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp

from tastemaker.core.home import Home


@dataclass(frozen=True)
class Timing:
    """How patient the reconciler is.

    Attributes:
        start_s: Longest time until a process is ready; vLLM takes 20 s on free cores, minutes on
            busy ones.
        settle_s: How long it must stay ready before it counts as ready.
        drain_s: Longest wait for requests under way at a version that is replaced.
        stop_s: From SIGTERM to SIGKILL.
        poll_s: Between two looks at the model files.
        backoff_s: Before the first restart; doubled at each one in a row.
        max_backoff_s: Longest wait before a restart.
        healthy_s: After this long a crash is the first in a row again.
        max_in_row: Restarts in a row after which a server counts as failed.
    """

    start_s: float = 400.0
    settle_s: float = 1.0
    drain_s: float = 60.0
    stop_s: float = 6.0
    poll_s: float = 1.0
    backoff_s: float = 1.0
    max_backoff_s: float = 30.0
    healthy_s: float = 60.0
    max_in_row: int = 5


@dataclass(frozen=True)
class Surroundings:
    """What every process of a home shares.

    Attributes:
        home: Whose processes they are; logs go to its run/logs/.
        environment: Variables of every process.
        timing: How patient to be.
        http: Asks whether a process is ready.
        tell: Called with a line for each thing that happens.
    """

    home: Home
    environment: Mapping[str, str]
    timing: Timing
    http: aiohttp.ClientSession
    tell: Callable[[str], None]
