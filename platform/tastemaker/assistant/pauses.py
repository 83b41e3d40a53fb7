"""Keeps the interpreter's own pauses out of turns.

A full garbage collection walks every object of the loaded libraries and catalogue, some hundred
milliseconds long; and a thread that computes lets the event loop wait for its turn.
"""

import asyncio
import gc
import sys
from collections.abc import Callable

_SWITCH_S = 0.0005  # Python's own 5 ms is as long as all else that a turn does
_LOOK_S = 0.5
_LONGEST_S = 120.0


async def keep_short(loaded: Callable[[], bool]) -> None:
    """Let other threads give way soon; once all is loaded, leave that out of collections.

    Args:
        loaded: True when what stays in memory for good is there.
    """
    sys.setswitchinterval(_SWITCH_S)
    waited_s = 0.0
    while not loaded() and waited_s < _LONGEST_S:
        await asyncio.sleep(_LOOK_S)
        waited_s += _LOOK_S
    gc.collect()
    gc.freeze()
