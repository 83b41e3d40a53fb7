"""What every flow starts with: the home, its database, the settings; and how it speaks.

A flow is a thin wrapper around plain functions of `tastemaker.jobs`. With a Prefect server it
runs as a flow run; without one the same function is called as it is (`call`).
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from prefect import Flow

from tastemaker.core.config import load_preset
from tastemaker.core.errors import GitError
from tastemaker.core.home import Home
from tastemaker.core.lifetime import end_with_owner
from tastemaker.jobs import prefect_runs
from tastemaker.jobs.flow_config import FlowConfig

PRESET = "default"
EVENTS = "tastemaker."  # before the name of each event


@dataclass(frozen=True)
class Loop:
    """What a flow works with."""

    home: Home
    config: FlowConfig

    @cached_property
    def engine(self) -> Any:
        """The operational database."""
        from tastemaker.core.database import open_database

        return open_database(self.home.database())

    def say(self, text: str) -> None:
        """A line in the flow run's log; without a server on stderr."""
        if has_server():
            from prefect.logging import get_run_logger

            get_run_logger().info(text)
        else:
            sys.stderr.write(f"{text}\n")

    def look_at_repository(self) -> None:
        """Read what is live as the repository has it now; where it is away, as it was last."""
        from tastemaker.promotion import checkout, repository

        try:
            if repository.is_there(self.home):
                checkout.update(self.home)
        except GitError as error:
            self.say(f"the repository does not answer, so what was live last counts: {error}")

    def tell(self, event: str, details: Mapping[str, Any]) -> None:
        """Let other flows know; nothing listens where there is no server."""
        self.say(f"{event}: {dict(details)}")
        if has_server():
            from prefect.events import emit_event

            resource = {"prefect.resource.id": resource_of(self.config.environment)}
            emit_event(EVENTS + event, resource=resource, payload=dict(details))


def resource_of(environment: str) -> str:
    """What events are about."""
    return f"tastemaker.environment.{environment}"


def has_server() -> bool:
    """Whether a Prefect server is configured."""
    return bool(os.environ.get(prefect_runs.API))


@contextmanager
def open_loop(preset: str) -> Iterator[Loop]:
    """Open what a flow works with, and hold its flow run's lock while it does."""
    end_with_owner()
    home = Home.open()
    home.sweep()
    loop = Loop(home, load_preset(FlowConfig, "flows", preset))
    loop.look_at_repository()
    if not has_server():
        yield loop
        return
    from prefect.runtime import flow_run  # of a flow within a flow its own

    with prefect_runs.held(home, flow_run.get_id()):
        yield loop


def call(flow: Flow, **arguments: Any) -> Any:
    """Run a flow as a flow run where there is a server, else as the function that it is."""
    return flow(**arguments) if has_server() else flow.fn(**arguments)
