"""Job: submit a compiled pipeline to Kubeflow Pipelines, and follow the run to its end."""

import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tastemaker.core.errors import ConfigError, ServiceError, TastemakerError
from tastemaker.deployment import root
from tastemaker.jobs.full_stack import compiled
from tastemaker.jobs.pipeline_server import Server, say

if TYPE_CHECKING:
    from kfp import Client

_ENDED = {"SUCCEEDED", "FAILED", "SKIPPED", "CANCELED"}
_INNER = ("root", "executor")  # nodes of the workflow that are no steps
_EQUALS = 1


@dataclass(frozen=True)
class Submission:
    """What is run, and how.

    Attributes:
        name: A pipeline: `full_stack`.
        arguments: Its parameters.
        package: Compiled for the cluster.
        experiment: Groups runs; made when missing.
        use_cache: False runs every step again.
        service_account: Of the steps' pods; empty: the server's default.
    """

    name: str
    arguments: Mapping[str, str]
    package: Path
    experiment: str = "tastemaker"
    use_cache: bool = True
    service_account: str = ""

    @property
    def caching(self) -> bool | None:
        """What the SDK is told: True would cache `promote` too, so it is never said."""
        return None if self.use_cache else False


@contextmanager
def package(
    name: str, cluster: str, overrides: Sequence[str], arguments: Mapping[str, str]
) -> Iterator[Path]:
    """The pipeline as a cluster preset runs it.

    Args:
        name: A pipeline.
        cluster: A cluster preset.
        overrides: `key=value` on the preset; compiled anew where there are any.
        arguments: Of the run: without a source digest the cache cannot see that the catalogue
            changed, so `curate` then always runs.

    Yields:
        A YAML file, gone afterwards.
    """
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / f"{name}.yaml"
        if overrides:
            compile_for(name, cluster, overrides, made)
        else:
            made.write_text(compiled(name, cluster).read_text())
        if not arguments.get("source_digest"):
            documents = list(yaml.load_all(made.read_text(), yaml.CSafeLoader))
            tasks = documents[0]["root"]["dag"]["tasks"]
            if "curate" in tasks:
                tasks["curate"]["cachingOptions"] = {}
            made.write_text(yaml.dump_all(documents, Dumper=yaml.CSafeDumper))
        yield made


def compile_for(name: str, cluster: str, overrides: Sequence[str], to: Path, *more: str) -> None:
    """Compile a pipeline for a cluster in a process of its own: pipelines are no import of ours.

    Raises:
        ConfigError: An override that the preset does not take, or no pipelines here.
    """
    source = root.find("pipelines/compile.py").parents[1]
    command = [sys.executable, "-m", "pipelines.compile", "--only", name, "--cluster", cluster]
    command += [part for override in overrides for part in ("--set", override)]
    done = subprocess.run(
        [*command, "--to", str(to.resolve()), *more],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise ConfigError(f"compiling {name} failed: {lines[-1].removeprefix('error: ')}")


def submit(server: Server, client: "Client", what: Submission) -> str:
    """Create a run once, even where the answer to the first request was lost.

    Returns:
        The run's id.

    Raises:
        ServiceError: Unreachable or refused.
    """
    experiment = experiment_id(server, client, what.experiment)
    title = f"{what.name} {time.strftime('%Y-%m-%d %H:%M')} {uuid.uuid4().hex[:8]}"
    asked_before = False

    def create() -> Any:
        nonlocal asked_before
        if asked_before and (runs := _runs_named(client, server, experiment, title)):
            return runs[0]
        asked_before = True
        return client.run_pipeline(
            experiment_id=experiment,
            job_name=title,
            pipeline_package_path=str(what.package),
            params=dict(what.arguments),
            enable_caching=what.caching,
            service_account=what.service_account or None,
        )

    run_id: str = server.ask(create).run_id
    return run_id


def experiment_id(server: Server, client: "Client", name: str) -> str:
    """The experiment of this name, made when missing."""
    namespace = server.namespace or None
    found = server.ask(lambda: client.create_experiment(name, namespace=namespace))
    identity: str = found.experiment_id
    return identity


def link(server: Server, run_id: str) -> str:
    """The run's page."""
    return f"{server.host.rstrip('/')}/#/runs/details/{run_id}"


def follow(
    server: Server, client: "Client", run_id: str, *, timeout_s: float, poll_s: float = 5.0
) -> None:
    """Say what each step does until the run ends.

    Raises:
        TastemakerError: A step failed (its name and reason), the run was cancelled, or it did
            not end in time; it then still runs.
    """
    said: dict[str, str] = {}
    deadline = time.monotonic() + timeout_s
    while True:
        run = server.ask(lambda: client.get_run(run_id))
        for task in _tasks(run):
            if task.state and said.get(task.task_id) != task.state:
                said[task.task_id] = task.state
                say(f"{task.display_name}: {task.state.lower()}")
        if run.state in _ENDED:
            break
        if time.monotonic() > deadline:
            raise TastemakerError(
                f"run {run_id} has not ended after {timeout_s:.0f} s (it is {run.state}); "
                f"it goes on: {link(server, run_id)}"
            )
        time.sleep(poll_s)
    if run.state != "SUCCEEDED":
        raise TastemakerError(f"run {run_id} {_why(run)}: {link(server, run_id)}")


def _tasks(run: Any) -> list[Any]:
    details = (run.run_details and run.run_details.task_details) or []
    steps = [task for task in details if task.display_name and _is_step(task.display_name)]
    # a step that waits has no start yet and comes last
    return sorted(steps, key=lambda task: (task.start_time is None, str(task.start_time)))


def _is_step(name: str) -> bool:
    return name not in _INNER and not name.endswith("-driver")


def _why(run: Any) -> str:
    if run.state == "CANCELED":
        return "was cancelled"
    details = (run.run_details and run.run_details.task_details) or []
    failed = [task for task in details if task.state == "FAILED"]
    names = ", ".join(dict.fromkeys(t.display_name for t in failed if _is_step(t.display_name)))
    reasons = [t.error.message for t in failed if t.error and t.error.message]
    if run.error and run.error.message:
        reasons.append(run.error.message)
    reason = reasons[0] if reasons else "the server names no reason; see the step's log"
    return f"failed in {names or 'no step'}: {' '.join(reason.split())}"


def _runs_named(client: "Client", server: Server, experiment: str, title: str) -> list[Any]:
    found = client.list_runs(
        experiment_id=experiment,
        namespace=server.namespace or None,
        filter=named(title),
    )
    return list(found.runs or [])


def named(title: str) -> str:
    """The server's filter for one display name."""
    predicate = {"operation": _EQUALS, "key": "display_name", "stringValue": title}
    return json.dumps({"predicates": [predicate]})


def check_arguments(file: Path, arguments: Mapping[str, str]) -> None:
    """Refuse parameters that a pipeline does not have, before it is sent.

    Raises:
        ServiceError: Naming them and those that there are.
    """
    spec = next(yaml.load_all(file.read_text(), yaml.CSafeLoader))
    known = set(spec["root"].get("inputDefinitions", {}).get("parameters", {}))
    if unknown := sorted(set(arguments) - known):
        raise ServiceError(f"{file.name} takes no parameters {unknown}; it takes {sorted(known)}")
