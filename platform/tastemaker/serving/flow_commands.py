"""`tastemaker flows ...`: the operational loop here, with one local Prefect server or none."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Annotated

import typer

from tastemaker.core.errors import ConfigError, ServiceError, TastemakerError
from tastemaker.core.home import Home

app = typer.Typer(help="The operational loop: serve its flows, run one.", no_args_is_help=True)

API = "PREFECT_API_URL"
Preset = Annotated[str, typer.Option(help="Of the loop: presets/flows.")]


@app.command("up")
def up(
    port: Annotated[int, typer.Option(help="Of the Prefect server, on 127.0.0.1.")] = 8420,
    preset: Preset = "default",
) -> None:
    """Start a Prefect server and serve every flow, by the clock and by events."""
    from tastemaker.core.config import presets
    from tastemaker.serving import flow_server

    if not 1 <= port <= 65_535:
        raise ConfigError(f"port={port}: 1 to 65535")
    if preset not in (known := presets("flows")):
        raise ConfigError(f"unknown flows preset {preset!r}; the presets are: {', '.join(known)}")
    running = flow_server.up(Home.open(), port=port, preset=preset)
    typer.echo(f"flows are served; the Prefect server is at {running.api}")


@app.command("down")
def down() -> None:
    """Stop both; flow runs under way end and go on at the next `up`."""
    from tastemaker.serving import flow_server

    typer.echo("stopped" if flow_server.down(Home.open()) else "nothing was running")


@app.command("status")
def status() -> None:
    """What runs, and the latest flow runs."""
    from tastemaker.serving import flow_server

    running = flow_server.read(Home.open())
    if running is None:
        typer.echo("not running")
        return
    for part in (flow_server.SERVER, flow_server.FLOWS):
        state = "running" if running.alive(part) else "ended: `tastemaker flows up` starts it anew"
        typer.echo(f"{part:<8} {state}")
    if running.alive(flow_server.SERVER):
        for run in flow_server.flow_runs(running):
            typer.echo(f"{run['began']:<20} {run['flow']:<22} {run['state']:<12} {run['run']}")


@app.command("run")
def run(
    name: Annotated[str, typer.Argument(help="A flow: learn, check_drift, clean_up, ...")],
    preset: Preset = "default",
    again: Annotated[bool, typer.Option(help="Also what was given up.")] = False,
    parameters: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Of the flow; repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    deadline_s: Annotated[float, typer.Option(help="Killed after that, seconds.")] = 30 * 3600,
) -> None:
    """Run a flow now: on the server that runs here or is configured, else without one."""
    from tastemaker.core.lifetime import OWNER

    words = [f"preset={preset}", *(["again=true"] if again else []), *parameters]
    command = [sys.executable, "-m", "pipelines.flows.run", name, *words]
    variables, folder = _variables(Home.open())
    process = subprocess.Popen(
        command, env={**variables, OWNER: str(os.getpid())}, cwd=folder, start_new_session=True
    )
    try:
        code = process.wait(timeout=deadline_s)
    except subprocess.TimeoutExpired:
        raise TastemakerError(f"flow {name} did not end in {deadline_s:.0f} s; stopped") from None
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    if code:
        raise typer.Exit(code)


@app.command("tell")
def tell(
    event: Annotated[str, typer.Argument(help="new-events, promoted, drift-found, ...")],
    environment: Annotated[str, typer.Option(help="Whose flows listen.")] = "local",
) -> None:
    """Tell the flows of something that happened outside of them, such as a promotion by hand."""
    from tastemaker.serving import flow_events

    variables, _ = _variables(Home.open())
    if not variables.get(API):
        raise ServiceError(f"no Prefect server: `tastemaker flows up` starts one, or set {API}")
    flow_events.tell(variables[API], event, environment)
    typer.echo(f"told: {event}")


def _variables(home: Home) -> tuple[dict[str, str], str]:
    """Environment and folder of a process that runs a flow."""
    from tastemaker.deployment import root
    from tastemaker.serving import flow_server

    folder = str(root.find("pipelines/flows").parents[1])
    running = flow_server.read(home)
    if running and running.alive(flow_server.SERVER):
        return flow_server.environment(home, running.port), folder
    here = {"TASTEMAKER_HOME": home.location, "PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "false"}
    before = os.environ.get("PYTHONPATH")
    path = f"{folder}{os.pathsep}{before}" if before else folder
    return {**os.environ, **here, "DO_NOT_TRACK": "1", "PYTHONPATH": path}, folder
