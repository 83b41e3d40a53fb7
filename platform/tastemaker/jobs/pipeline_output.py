"""What a person sees of a pipeline run: each step and its own lines, without the runner's noise."""

import re
from typing import TextIO

_COLOUR = re.compile(r"\x1b?\[[0-9;]*m")
_DUMP_BEGINS = "Got executor_input:"


class PipelineOutput:
    """A text stream that kfp.local prints to: all of it to the log, the useful part shown.

    Attributes:
        steps: Names of the steps that really ran (were not cached), in order.
        failure: The last error line of a failed step, "" if none.
    """

    encoding = "utf-8"

    def __init__(self, screen: TextIO, log: TextIO) -> None:
        self.screen, self.log = screen, log
        self.steps: list[str] = []
        self.failure = ""
        self._in_dump = False
        self._part = ""

    def write(self, text: str) -> int:
        """Take text; whole lines are judged, the rest waits."""
        self.log.write(text)
        self.log.flush()
        *lines, self._part = (self._part + text).split("\n")
        for line in lines:
            self._line(_COLOUR.sub("", line).rstrip())
        return len(text)

    def flush(self) -> None:
        """Flush the screen."""
        self.screen.flush()

    def isatty(self) -> bool:
        """Never a terminal: no colours are wanted."""
        return False

    def _line(self, line: str) -> None:
        body = line.strip()
        if started := re.search(r"Executing task '([\w-]+)'", body):
            self.steps.append(started.group(1))
            self._show(f"== {started.group(1)}")
        elif _DUMP_BEGINS in body:
            self._in_dump = True
        elif self._in_dump:
            self._in_dump = line not in ("}", "    }")
        elif "KFP Executor" in body or not body or set(body) == {"-"} or " - INFO - " in body:
            pass
        else:
            if found := re.match(r"(?:[\w.]*(?:Error|Exception)|error): (.*)", body):
                self.failure = found.group(1)
            if self.steps and not body.startswith(("Output:", "Task ")):
                self._show(f"   {body}")

    def _show(self, line: str) -> None:
        self.screen.write(line + "\n")
        self.screen.flush()
