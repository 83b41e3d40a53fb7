"""The promotion repository as the reconciler follows it: where it is, and what is wrong with it."""

import asyncio
from collections.abc import Callable

from tastemaker.core.errors import TastemakerError
from tastemaker.core.home import Home
from tastemaker.promotion import checkout, repository

LOCAL_S = 1.0  # between two looks at a repository of this machine
REMOTE_S = 10.0  # and at one that is asked over the network
ANSWER_S = 15.0  # for its answer: `down` waits for a look under way


class Followed:
    """Keeps the checkout of a home where the repository's branch is.

    Args:
        home: Whose.
        tell: Called with a line for each thing that happens.
    """

    def __init__(self, home: Home, tell: Callable[[str], None]) -> None:
        self.home, self.tell = home, tell
        self.problem = ""
        self.name, self.commit, self._every_s = "", "", LOCAL_S

    async def keep(self) -> None:
        """Look again and again, until cancelled; a repository that is down stops nothing."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(self._every_s)

    def look(self) -> None:
        """Bring the checkout to where the branch is now."""
        before = self.commit, self.problem
        try:
            found = checkout.current(self.home)
            if found and not found.commit:  # somebody keeps a folder by other means
                self.name, self.commit = str(found.folder), ""
                return
            followed = repository.open_repository(self.home)
            self.name = followed.name
            self._every_s = LOCAL_S if followed.is_local else REMOTE_S
            self.commit, self.problem = checkout.update(self.home, ANSWER_S).commit, ""
        except (TastemakerError, OSError) as error:
            self.problem = str(error)
        if (self.commit, self.problem) != before:
            self.tell(self.summary())

    def summary(self) -> str:
        """A line for people."""
        at = f" at {self.commit[:12]}" if self.commit else ""
        if self.problem:
            return f"repository {self.name}{at} is not followed: {self.problem}"
        return f"repository {self.name}{at}"
