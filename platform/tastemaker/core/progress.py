"""Progress of long work: one rewritten line on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class Progress:
    """Prints `label  done/total  note  elapsed  left` to stderr.

    Args:
        label: What is being done, a few words.
        total: How many steps there are; > 0.
        done: Steps that an earlier run finished: the time left is not judged by them.
        every_s: Shortest time between two lines where stderr is not a terminal.
    """

    def __init__(self, label: str, total: int, *, done: int = 0, every_s: float = 5.0) -> None:
        self.label, self.total = label, max(total, 1)
        self.terminal = sys.stderr.isatty()
        self.every_s = 0.2 if self.terminal else every_s
        self.start = time.monotonic()
        self.before = done
        self.last = 0.0

    def update(self, done: int, note: str = "") -> None:
        """Report that `done` steps of the total are finished."""
        now = time.monotonic()
        if done < self.total and now - self.last < self.every_s:
            return
        self.last = now
        elapsed = now - self.start
        left = elapsed / max(done - self.before, 1) * (self.total - done)
        line = f"{self.label}  {done}/{self.total}  {note}  {elapsed:.0f}s, {left:.0f}s left"
        if self.terminal:
            sys.stderr.write(f"\r\x1b[2K{line}" + ("\n" if done >= self.total else ""))
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()


def track(items: Iterable[T], label: str, total: int) -> Iterator[T]:
    """Yield the items, reporting after each."""
    progress = Progress(label, total)
    for done, item in enumerate(items, 1):
        yield item
        progress.update(done)
