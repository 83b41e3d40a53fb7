"""Job: recurring runs of a pipeline on Kubeflow Pipelines, one for each name."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tastemaker.core import digests
from tastemaker.core.errors import ConfigError, NotFound
from tastemaker.jobs.pipeline_server import Server
from tastemaker.jobs.submit import Submission, experiment_id, named

if TYPE_CHECKING:
    from kfp import Client

_FIELD = re.compile(r"^[\d*/,\-?A-Za-z]+$")
_MARK = "tastemaker schedule "  # of descriptions; the digest of all settings follows


@dataclass(frozen=True)
class Schedule:
    """A recurring run that the server holds."""

    name: str
    identity: str
    cron: str
    enabled: bool
    mark: str


def cron_fields(cron: str) -> str:
    """A cron expression as the server reads it, with seconds first.

    Args:
        cron: Five fields (minute first), or six (second first).

    Raises:
        ConfigError: Another number of fields, or a sign that no field has.
    """
    fields = cron.split()
    if len(fields) not in (5, 6) or not all(map(_FIELD.match, fields)):
        raise ConfigError(
            f"--cron {cron!r}: takes five fields (minute hour day month weekday), as in "
            "'30 2 * * *', or six with the second first"
        )
    return " ".join(["0", *fields] if len(fields) == 5 else fields)


def ensure(server: Server, client: "Client", name: str, cron: str, what: Submission) -> str:
    """Make the recurring run of this name be exactly this one.

    One run at a time, and intervals that were missed are not made up for. The new one is made
    before an old one goes, so that a failure between leaves two, which the next call mends.

    Returns:
        Its id; the same one when nothing changed.
    """
    experiment = experiment_id(server, client, what.experiment)
    when = cron_fields(cron)
    content = [when, dict(what.arguments), what.package.read_text(), what.use_cache]
    mark = _MARK + digests.of_json([*content, what.service_account, experiment])
    there = [one for one in schedules(server, client) if one.name == name]
    kept = [one.identity for one in there if one.mark == mark and one.enabled][:1]
    identity = kept[0] if kept else _create(server, client, name, when, what, experiment, mark)
    for one in there:
        if one.identity != identity:
            _delete(server, client, one.identity)
    return identity


def schedules(server: Server, client: "Client") -> list[Schedule]:
    """All recurring runs that were made here, oldest first."""
    found: list[Any] = []
    token = ""
    while True:
        page = server.ask(
            lambda token=token: client.list_recurring_runs(  # type: ignore[misc]
                page_token=token,
                page_size=100,
                sort_by="created_at asc",
                namespace=server.namespace or None,
            )
        )
        found += page.recurring_runs or []
        token = page.next_page_token or ""
        if not token:
            break
    return [_read(one) for one in found if (one.description or "").startswith(_MARK)]


def delete(server: Server, client: "Client", name: str) -> None:
    """Delete the recurring run of a name; runs that it started go on.

    Raises:
        NotFound: No such recurring run.
    """
    there = schedules(server, client)
    chosen = [one.identity for one in there if one.name == name]
    if not chosen:
        known = ", ".join(sorted({one.name for one in there})) or "none"
        raise NotFound(f"no schedule {name!r} at {server.host} (there: {known})")
    for identity in chosen:
        _delete(server, client, identity)


def _create(
    server: Server,
    client: "Client",
    name: str,
    cron: str,
    what: Submission,
    experiment: str,
    mark: str,
) -> str:
    asked_before = False

    def create() -> str:
        nonlocal asked_before
        if asked_before:
            listed = client.list_recurring_runs(experiment_id=experiment, filter=named(name))
            for one in listed.recurring_runs or []:
                if one.description == mark:
                    return str(one.recurring_run_id)
        asked_before = True
        made = client.create_recurring_run(
            experiment_id=experiment,
            job_name=name,
            description=mark,
            cron_expression=cron,
            max_concurrency="1",  # int64 travels as text
            no_catchup=True,
            params=dict(what.arguments),
            pipeline_package_path=str(what.package),
            enable_caching=what.caching,
            service_account=what.service_account or None,
        )
        return str(made.recurring_run_id)

    return server.ask(create)


def _delete(server: Server, client: "Client", identity: str) -> None:
    server.ask(lambda: client.delete_recurring_run(identity))


def _read(one: Any) -> Schedule:
    trigger = one.trigger and one.trigger.cron_schedule
    return Schedule(
        name=one.display_name,
        identity=one.recurring_run_id,
        cron=trigger.cron if trigger else "",
        enabled=one.mode == "ENABLE",
        mark=one.description,
    )
