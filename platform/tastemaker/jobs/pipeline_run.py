"""Job: run a compiled pipeline for a flow, here or on a cluster, and read what it made.

    pipeline-results/<key>.json   written by a run's last step: what it made

One layer retries: on a cluster KFP tries a step again (`presets/cluster`), here nothing does.
A flow that was killed follows the run that it had submitted, found by its name.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home
from tastemaker.jobs import flow_records
from tastemaker.jobs.flow_config import FlowConfig, PipelineRule
from tastemaker.jobs.flow_records import Outcome

if TYPE_CHECKING:
    from kfp import Client

    from tastemaker.jobs.pipeline_server import Server

FOLDER = "pipeline-results"
_LOST = ("FAILED", "CANCELED", "CANCELING")


def once(
    home: Home,
    flow: str,
    key: str,
    work: Callable[[], Mapping[str, Any]],
    config: FlowConfig,
    *,
    again: bool,
) -> Outcome:
    """Do a flow's work, which is a pipeline's run, once for its key.

    Args:
        home: Keeps the record.
        flow: Its name.
        key: Of its content.
        work: Runs the pipeline; returns what is to be kept of it.
        config: Deadline of a run, and how many attempts there are.
        again: Also where it was given up.
    """
    return flow_records.once(
        home,
        flow,
        key,
        work,
        deadline_s=config.pipelines.timeout_s,
        max_attempts=config.max_attempts,
        again=again,
    )


def run(
    home: Home, name: str, key: str, arguments: Mapping[str, Any], rule: PipelineRule
) -> dict[str, str]:
    """Run a pipeline to its end, unless a run of this key has ended well.

    Args:
        home: Where everything lives; on a cluster the one that its steps use.
        name: A compiled pipeline whose last step is `keep_result`.
        key: Names the run; the pipeline takes it as `key`.
        arguments: Its other parameters.
        rule: Where it runs.

    Returns:
        Digests of what it made, by role.

    Raises:
        TastemakerError: A step failed, or the run did not end in time.
        NotFound: It ended, but kept no result.
    """
    found = result(home, key)
    if found is None:
        _run(home, name, {**arguments, "key": key}, rule)
        found = result(home, key)
    if found is None:
        raise NotFound(f"pipeline {name} ended without {home.uri(FOLDER, f'{key}.json')}")
    return found


def result(home: Home, key: str) -> dict[str, str] | None:
    """What a run made; None where none of that key has ended well, or what it made is gone."""
    text = home.read_text(FOLDER, f"{key}.json")
    found: dict[str, str] | None = json.loads(text) if text else None
    return found if found and _all_there(home, found) else None


def keep(home: Home, key: str, made: Mapping[str, str]) -> None:
    """Say what a run made; its last step."""
    there = {role: digest for role, digest in made.items() if digest}
    home.write_text(json.dumps(there, indent=1, sort_keys=True), FOLDER, f"{key}.json")


def _all_there(home: Home, made: Mapping[str, str]) -> bool:
    """Digests by the roles of cards, `evidence.<model>` too; any other role holds a text."""
    places = {
        "dataset": ("datasets", "%s.yaml"),
        "dialogues": ("dialogues", "%s"),
        "features": ("features", "%s"),
        "evidence": ("evidence", "%s.json"),
        **dict.fromkeys(("encoder", "index", "sequence", "router"), ("bundles", "%s")),
    }
    for role, digest in made.items():
        folder, name = places.get(role.partition(".")[0], ("", ""))
        if folder and not home.holds(folder, name % digest):
            return False
    return True


def _run(home: Home, name: str, arguments: Mapping[str, Any], rule: PipelineRule) -> None:
    from tastemaker.jobs import full_stack

    if not rule.host:
        full_stack.run(home, dict(arguments), pipeline=full_stack.compiled(name))
        return
    from tastemaker.jobs import submit

    server = _server(rule)
    with submit.package(name, rule.cluster_preset, [], arguments) as package:
        submit.check_arguments(package, arguments)
        client = server.connect()
        run_id = _submitted(server, client, name, arguments, package, rule)
    submit.follow(server, client, run_id, timeout_s=rule.timeout_s, poll_s=rule.poll_s)


def _server(rule: PipelineRule) -> "Server":
    from tastemaker.jobs.pipeline_server import POD_TOKEN, Server

    file = POD_TOKEN if POD_TOKEN.is_file() and not rule.token_env else None
    return Server(rule.host, rule.namespace, rule.token_env, file)


def _submitted(
    server: "Server",
    client: "Client",
    name: str,
    arguments: Mapping[str, Any],
    package: Path,
    rule: PipelineRule,
) -> str:
    """The run of this key that is under way or ended well; a new one where there is none."""
    from tastemaker.jobs import submit

    title = f"{name} {arguments['key']}"
    experiment = submit.experiment_id(server, client, "tastemaker-flows")

    def find() -> list[Any]:
        found = client.list_runs(
            experiment_id=experiment,
            namespace=server.namespace or None,
            filter=submit.named(title),
        )
        return [one for one in found.runs or [] if one.state not in _LOST]

    def create() -> str:
        # asked at every attempt: the answer to the first request may have been lost
        if runs := find():
            return str(runs[0].run_id)
        made = client.run_pipeline(
            experiment_id=experiment,
            job_name=title,
            pipeline_package_path=str(package),
            params=dict(arguments),
            service_account=rule.service_account or None,
        )
        return str(made.run_id)

    return server.ask(create)
