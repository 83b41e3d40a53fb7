"""`tastemaker pipeline ...`: run here, compile, submit to a cluster, and schedule there."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tastemaker.core.errors import TastemakerError
from tastemaker.core.home import Home

if TYPE_CHECKING:
    from tastemaker.jobs.pipeline_server import Server
    from tastemaker.jobs.submit import Submission

app = typer.Typer(help="Run, compile, submit and schedule pipelines.", no_args_is_help=True)
schedules = typer.Typer(help="Recurring runs on a cluster.", no_args_is_help=True)
app.add_typer(schedules, name="schedule")

Name = Annotated[str, typer.Argument(help="A compiled pipeline: full_stack.")]
Preset = Annotated[str, typer.Option(help="Default: the one named like the catalogue.")]
Catalog = Annotated[str, typer.Option(help="demo, fashion, ikea-home or folder:/path.")]
Overrides = Annotated[
    list[str],
    typer.Option("--set", metavar="STEP.KEY=VALUE", help="Override a key; repeatable."),
]
Host = Annotated[str, typer.Option(help="Address of Kubeflow Pipelines.")]
Namespace = Annotated[str, typer.Option(help="Of your profile; empty in single-user mode.")]
TokenEnv = Annotated[str, typer.Option(help="Variable that holds a bearer token.")]
TokenFile = Annotated[Path | None, typer.Option(help="File that holds one; read as it is renewed.")]
Cluster = Annotated[str, typer.Option("--cluster-preset", help="default, small or gpu.")]
ClusterSet = Annotated[
    list[str],
    typer.Option("--cluster-set", metavar="KEY=VALUE", help="Override a key of it; repeatable."),
]
Experiment = Annotated[str, typer.Option(help="Groups runs; made when missing.")]
ServiceAccount = Annotated[str, typer.Option(help="Of the steps' pods.")]
Environment = Annotated[str, typer.Option(help="Where the models become live.")]
Cache = Annotated[bool, typer.Option(help="Reuse finished steps.")]


@app.command("run")
def run(
    name: Name,
    preset: Preset = "",
    catalog: Catalog = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    cache: Cache = True,
) -> None:
    """Run a pipeline here, on this machine's kfp.local."""
    from tastemaker.jobs import full_stack

    compiled = full_stack.compiled(name)
    chosen = preset or full_stack.default_preset(catalog or "demo")
    home = Home.open()
    arguments = full_stack.resolve(chosen, catalog or None, overrides)
    full_stack.run(home, arguments, pipeline=compiled, use_cache=cache)


@app.command("compile")
def compile_all(
    check: bool = typer.Option(False, help="Change nothing; fail where a file is not current."),
) -> None:
    """Write pipelines/compiled/: the IR for here, for each cluster preset, and objects."""
    if not Path("pipelines/compile.py").is_file():
        raise TastemakerError("no pipelines/compile.py here: run this from the repository's root")
    command = [sys.executable, "-m", "pipelines.compile", *(["--check"] if check else [])]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


@app.command("submit")
def submit(
    name: Name,
    host: Host = "",
    preset: Preset = "",
    catalog: Catalog = "",
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    environment: Environment = "production",
    namespace: Namespace = "",
    experiment: Experiment = "tastemaker",
    token_env: TokenEnv = "",
    token_file: TokenFile = None,
    cluster: Cluster = "default",
    cluster_set: ClusterSet = [],  # noqa: B006
    service_account: ServiceAccount = "",
    cache: Cache = True,
    wait: bool = typer.Option(False, help="Follow the run to its end."),
    timeout_s: float = typer.Option(86_400, help="How long to wait, seconds."),
    poll_s: float = typer.Option(5.0, help="Between two looks, seconds."),
    as_objects: bool = typer.Option(False, help="Make Pipeline and PipelineVersion, run nothing."),
    dry_run: bool = typer.Option(False, help="With --as-objects: print them."),
) -> None:
    """Submit a pipeline to Kubeflow Pipelines; prints the run's id and its page."""
    from tastemaker.jobs import submit as job

    if as_objects:
        return _objects(name, cluster, cluster_set, namespace, dry_run=dry_run)
    server = _server(host, namespace, token_env, token_file)
    arguments = _arguments(preset, catalog, overrides, environment)
    with _submission(
        name, cluster, cluster_set, arguments, experiment, cache, service_account
    ) as what:
        client = server.connect()
        run_id = job.submit(server, client, what)
    typer.echo(f"{run_id}  {job.link(server, run_id)}")
    if wait:
        job.follow(server, client, run_id, timeout_s=timeout_s, poll_s=poll_s)
    return None


@schedules.command("set")
def schedule_set(
    name: Name,
    cron: Annotated[str, typer.Option(help="Five fields, minute first: '30 2 * * *'; UTC.")],
    host: Host = "",
    as_name: str = typer.Option("", "--name", help="Of the schedule; default: the pipeline's."),
    preset: Preset = "",
    catalog: Catalog = "",
    overrides: Overrides = [],  # noqa: B006
    environment: Environment = "production",
    namespace: Namespace = "",
    experiment: Experiment = "tastemaker",
    token_env: TokenEnv = "",
    token_file: TokenFile = None,
    cluster: Cluster = "default",
    cluster_set: ClusterSet = [],  # noqa: B006
    service_account: ServiceAccount = "",
    cache: Cache = True,
) -> None:
    """Run a pipeline again and again: one at a time; a second call replaces the first."""
    from tastemaker.jobs import schedule

    schedule.cron_fields(cron)
    server = _server(host, namespace, token_env, token_file)
    arguments = _arguments(preset, catalog, overrides, environment)
    with _submission(
        name, cluster, cluster_set, arguments, experiment, cache, service_account
    ) as what:
        typer.echo(schedule.ensure(server, server.connect(), as_name or name, cron, what))


@schedules.command("list")
def schedule_list(
    host: Host = "",
    namespace: Namespace = "",
    token_env: TokenEnv = "",
    token_file: TokenFile = None,
) -> None:
    """List schedules that were made here."""
    from tastemaker.jobs import schedule

    server = _server(host, namespace, token_env, token_file)
    for one in schedule.schedules(server, server.connect()):
        state = "on" if one.enabled else "off"
        typer.echo(f"{one.name}  {one.cron}  {state}  {one.identity}")


@schedules.command("delete")
def schedule_delete(
    name: Annotated[str, typer.Argument(help="Of the schedule.")],
    host: Host = "",
    namespace: Namespace = "",
    token_env: TokenEnv = "",
    token_file: TokenFile = None,
) -> None:
    """Delete a schedule; runs that it started go on."""
    from tastemaker.jobs import schedule

    server = _server(host, namespace, token_env, token_file)
    schedule.delete(server, server.connect(), name)


def _server(host: str, namespace: str, token_env: str, token_file: Path | None) -> "Server":
    from tastemaker.core.errors import ConfigError
    from tastemaker.jobs.pipeline_server import Server

    if not host:
        raise ConfigError("--host is missing: the address of Kubeflow Pipelines, http(s)://...")
    return Server(host, namespace, token_env, token_file)


def _arguments(preset: str, catalog: str, overrides: list[str], environment: str) -> dict[str, str]:
    from tastemaker.jobs import full_stack

    chosen = preset or full_stack.default_preset(catalog or "demo")
    arguments = full_stack.resolve(chosen, catalog or None, overrides, here=False)
    return {**arguments, "environment": environment}


@contextmanager
def _submission(
    name: str,
    cluster: str,
    cluster_set: list[str],
    arguments: Mapping[str, str],
    experiment: str,
    cache: bool,
    service_account: str,
) -> "Iterator[Submission]":
    from tastemaker.jobs import submit as job

    with job.package(name, cluster, cluster_set, arguments) as file:
        job.check_arguments(file, arguments)
        yield job.Submission(name, arguments, file, experiment, cache, service_account)


def _objects(
    name: str, cluster: str, cluster_set: list[str], namespace: str, *, dry_run: bool
) -> Any:
    from tastemaker.jobs import pipeline_objects

    documents = pipeline_objects.objects(name, cluster, cluster_set, namespace)
    if dry_run:
        typer.echo(pipeline_objects.as_yaml(documents))
        return
    for line in pipeline_objects.apply(documents):
        typer.echo(line)
