"""End with the process that started the work: a killed pipeline leaves no job behind."""

import os
import signal
import threading
import time

OWNER = "TASTEMAKER_OWNER_PID"  # set for its children by whoever starts jobs as processes


def end_with_owner(every_s: float = 1.0) -> None:
    """Watch `TASTEMAKER_OWNER_PID` from a thread; kill this process when the owner is gone.

    Writes are atomic, so an abrupt end leaves nothing half-written in place.
    """
    owner = os.environ.get(OWNER)
    if not owner:
        return

    def watch() -> None:
        while os.path.exists(f"/proc/{owner}"):
            time.sleep(every_s)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="end-with-owner").start()
