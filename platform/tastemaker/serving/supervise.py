"""The process behind `tastemaker up`: the reconciler and the proxy, until told to stop.

Nothing outlives it: the kernel ends the servers of one that is killed, and `down` (like the next
`up`) sweeps what is marked as this home's.
"""

import argparse
import fcntl
import signal
import sys
import time
from asyncio import get_running_loop
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import aiohttp
import uvloop

from tastemaker.core.errors import ServiceError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.serving.asked import Asked
from tastemaker.serving.fleet import Fleet
from tastemaker.serving.proxy import Proxy
from tastemaker.serving.reconciler import Reconciler
from tastemaker.serving.services import base_environment
from tastemaker.serving.surroundings import Surroundings

Tell = Callable[[str], None]


def supervise(home: Home, *, tell: Tell, at_terminal: bool = False) -> None:
    """Serve what run/asked.json asks for.

    Args:
        home: Whose servers.
        tell: Called with a line for each thing that happens.
        at_terminal: Whether SIGHUP is a terminal that closes, which ends it; else it makes it look
            at the files again.

    Raises:
        ServiceError: Another one is at work on this home, a port is taken, a server did not start.
    """
    with _alone(home):
        uvloop.run(_supervise(home, tell, at_terminal))


async def _supervise(home: Home, tell: Tell, at_terminal: bool) -> None:
    asked = Asked.read(home)
    async with Proxy() as proxy, aiohttp.ClientSession() as http:
        around = Surroundings(home, base_environment(home), asked.timing, http, tell)
        reconciler = Reconciler(home, Fleet(proxy, around), tell)
        loop = get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, reconciler.stop)
        loop.add_signal_handler(signal.SIGHUP, reconciler.stop if at_terminal else reconciler.wake)
        await reconciler.run(asked)


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    with home.path("run", "reconciler.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(f"another `up` is at work on {home.root}; wait for it") from None
        yield


def main() -> None:
    """Run in the background, with a log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", required=True)
    given = parser.parse_args()

    def tell(line: str) -> None:
        sys.stderr.write(f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} {line}\n")
        sys.stderr.flush()

    try:
        supervise(Home.open(given.home), tell=tell)
    except TastemakerError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
