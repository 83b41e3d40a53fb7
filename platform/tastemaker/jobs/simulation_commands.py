"""`tastemaker simulate`: simulated users talk to a running assistant, or to two."""

import json
from typing import Annotated

import typer

from tastemaker.core.home import Home

_SHOWN = ("session_success", "turns_to_success", "diversity", "cents_per_success", "harm_rate")


def add_to(app: typer.Typer) -> None:
    """Offer the verb."""
    app.command(rich_help_panel="What is live")(simulate)


def simulate(
    preset: Annotated[str, typer.Argument(help="Preset of family `simulation`.")] = "default",
    url: Annotated[str, typer.Option(help="Address of the assistant.")] = "http://127.0.0.1:8400",
    against: Annotated[str, typer.Option(help="Of another version: the same users meet it.")] = "",
    users: Annotated[int, typer.Option(help="One conversation each; 0: the preset's.")] = 0,
    turns: Annotated[int, typer.Option(help="At most, of a conversation; 0: the preset's.")] = 0,
    environment: Annotated[str, typer.Option(help="Whose live bundles are noted.")] = "local",
    keep: Annotated[bool, typer.Option(help="Leave the users' data there.")] = False,
    overrides: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable.")
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Let simulated users hold whole conversations; prints figures and the result's digest."""
    from tastemaker.core.config import load_preset
    from tastemaker.jobs import simulate_conversations
    from tastemaker.jobs.simulation_config import SimulationConfig

    said = [f"users={users}"] if users else []
    said += [f"behaviour.turns_max={turns}"] if turns else []
    home = Home.open()
    digest = simulate_conversations.run(
        home,
        load_preset(SimulationConfig, "simulation", preset, [*said, *overrides]),
        url=url,
        against=against,
        environment=environment,
        keep=keep,
    )
    at = ("simulations", digest)
    _print(json.loads(home.read_text(*at, "metrics.json") or "{}"), "")
    if against:
        _print(json.loads(home.read_text(*at, "gains.json") or "{}"), "gain in ")
    typer.echo(f"report: {home.uri(*at, 'report.html')}")
    typer.echo(digest)


def _print(figures: dict[str, float], what: str) -> None:
    for name in _SHOWN:
        if name in figures:
            low, high = figures[f"{name}_low"], figures[f"{name}_high"]
            typer.echo(f"{what}{name} {figures[name]:.4g} ({low:.4g} to {high:.4g})")
