"""`tastemaker <verb>`: parses, calls one thing, prints its result; nothing more.

Nothing heavy is imported before a verb runs, so that `--help` answers at once.
"""

import inspect
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from tastemaker.assistant import key_commands
from tastemaker.core.errors import ConfigError, TastemakerError
from tastemaker.core.home import Home
from tastemaker.jobs import (
    canary_commands,
    gate_commands,
    home_commands,
    lineage_commands,
    pipeline_commands,
    promotion_commands,
    simulation_commands,
    upgrade_commands,
)
from tastemaker.serving import flow_commands


def _core_hour_cents() -> float:
    """What plans count a core hour at: the price list's machine, all of whose cores work."""
    from tastemaker.assistant.prices import Prices

    return Prices.read().core_cents("cloud-2vcpu", 3600.0, 1.0)


app = typer.Typer(
    help="Visual discovery on models you own. Everything lives in TASTEMAKER_HOME "
    "(default ./.tastemaker).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(pipeline_commands.app, name="pipeline")
app.add_typer(key_commands.app, name="key")
app.add_typer(home_commands.app, name="home")
app.add_typer(flow_commands.app, name="flows")
gate_commands.add_to(app)
promotion_commands.add_to(app)
canary_commands.add_to(app)
lineage_commands.add_to(app)
upgrade_commands.add_to(app, _core_hour_cents)
simulation_commands.add_to(app)

Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable.")
]
Port = Annotated[int, typer.Option(help="Of the page; the four after it are used too.")]


@app.command()
def up(
    port: Port = 8400,
    environment: str = "local",
    foreground: bool = typer.Option(False, help="Stay until Ctrl-C."),
    preset: str = typer.Option("default", help="Of the assistant: limits, identity, providers."),
    overrides: Overrides = [],  # noqa: B006 - typer copies it
    check_only: bool = typer.Option(
        False, "--check", help="Only look whether its ports and settings can be served."
    ),
) -> None:
    """Start every server of an environment and wait until all are healthy.

    Where they run already, what changed is replaced without a lost request.
    """
    from tastemaker.assistant.settings import GatewayConfig
    from tastemaker.core.config import load_preset, to_settings
    from tastemaker.serving import control

    if not 1 <= port <= 65_531:
        raise ConfigError(f"port={port}: five ports from it on are used, so 1 to 65531")
    settings = to_settings(load_preset(GatewayConfig, "assistant", preset, overrides))
    if check_only:
        control.check_ports(Home.open(), port)
        return
    control.up(
        Home.open(),
        environment=environment,
        port=port,
        background=not foreground,
        settings=settings,
    )


@app.command()
def down() -> None:
    """Stop every server; nothing stays running."""
    from tastemaker.serving import control

    stopped = control.down(Home.open())
    typer.echo("stopped" if stopped else "nothing was running")


@app.command()
def status(as_json: bool = typer.Option(False, "--json", help="For programs.")) -> None:
    """Say what runs."""
    from tastemaker.serving import control

    typer.echo(control.status(Home.open(), as_json=as_json))


@app.command()
def check(
    environment: list[str] = typer.Option([], help="Only its model files; repeatable."),  # noqa: B008
    fetch_schemas: bool = typer.Option(False, help="Download the pinned schemas (CRDs) first."),
) -> None:
    """Validate charts, manifests, model files, pipelines, features and presets together."""
    from tastemaker.assistant.settings import GatewayConfig
    from tastemaker.core.config import Config
    from tastemaker.deployment import checks
    from tastemaker.jobs.preset_families import configs

    presets: dict[str, type[Config]] = {**configs(), "assistant": GatewayConfig}
    report = checks.run(
        Home.open(), presets, typer.echo, environments=environment, fetch_schemas=fetch_schemas
    )
    typer.echo(report.summary())
    raise typer.Exit(1 if report.faults else 0)


@app.command()
def ask(
    question: str = typer.Argument("", help="What you would type on the page."),
    first: bool = typer.Option(False, "--first", help="Ask the first of the page's suggestions."),
    user: str = typer.Option("", help="Answer for this user of the catalogue."),
    url: str = typer.Option("http://127.0.0.1:8400", help="Address of the assistant."),
) -> None:
    """Ask the running assistant one question."""
    from tastemaker.assistant.ask import ask as ask_assistant
    from tastemaker.assistant.ask import first_suggestion

    if not question and not first:
        raise ConfigError('nothing to ask: give a question, as in `tastemaker ask "blue lamps"`')
    ask_assistant(question or first_suggestion(url), user=user or None, url=url)


def _add_step(step: str, work: Callable[..., str]) -> None:
    """Offer a step of the chain as a verb: `tastemaker train-encoder tiny --dataset D`."""
    parameters = [p for p in inspect.signature(work).parameters if not p.endswith("settings")]

    def verb(**given: Any) -> None:
        from tastemaker.core.config import load_preset, to_settings
        from tastemaker.jobs import full_stack

        preset, overrides = given.pop("preset", None), given.pop("overrides", [])
        if preset is not None:
            of_step = step if step in full_stack.STEPS else "materialise_features"
            family = full_stack.STEPS[of_step][0]
            config = load_preset(full_stack.config_of(of_step), family, preset, overrides)
            given["settings"] = to_settings(config)
        typer.echo(work(**given))

    kind = inspect.Parameter.KEYWORD_ONLY
    signature = [
        inspect.Parameter(
            name,
            kind,
            annotation=str,
            default=typer.Option(... if name != "environment" else "local", help="A digest.")
            if name not in ("catalog", "source_digest")
            else typer.Option("demo" if name == "catalog" else ""),
        )
        for name in parameters
    ]
    if "settings" in inspect.signature(work).parameters:
        default = typer.Argument("default", help="Preset.")
        signature.insert(0, inspect.Parameter("preset", kind, annotation=str, default=default))
        signature.append(inspect.Parameter("overrides", kind, annotation=Overrides, default=[]))
    verb.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    verb.__annotations__ = {p.name: p.annotation for p in signature}
    verb.__doc__ = inspect.getdoc(work)
    app.command(step.replace("_", "-"), rich_help_panel="Steps of the chain")(verb)


def _add_steps() -> None:
    from tastemaker.jobs import steps

    names = ["curate", "simulate_users", "train_encoder", "precompute_embeddings", "build_index"]
    names += ["train_sequence", "materialise_features", "make_dialogues", "train_router"]
    names += ["collect_events", "make_training_set"]
    names += ["evaluate_encoder", "evaluate_sequence", "evaluate_router"]
    for name in names:
        _add_step(name, getattr(steps, name))


_add_steps()


def main() -> None:
    """Entry point: what a user can mend is one line on stderr and exit code 2."""
    try:
        app()
    except TastemakerError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        raise SystemExit(130) from None


if __name__ == "__main__":
    main()
