"""`tastemaker judge`."""

import json
from typing import Annotated

import typer

from tastemaker.core.home import Home


def add_to(app: typer.Typer) -> None:
    """Offer the verb."""
    app.command(rich_help_panel="What is live")(judge)


def judge(
    model: Annotated[str, typer.Argument(help="retrieval, recommender or router.")],
    environment: Annotated[str, typer.Option(help="Which environment.")] = "local",
    look_only: Annotated[bool, typer.Option(help="Say the verdict, change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    preset: Annotated[str, typer.Option(help="Margins and error rates.")] = "default",
    overrides: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override a key; repeatable.")
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Judge the canary of a model by live turns: a larger share, as it is, or taken away."""
    from tastemaker.core.config import load_preset
    from tastemaker.core.database import open_database
    from tastemaker.jobs import judge_canary
    from tastemaker.promotion.judge_config import JudgeConfig

    home, config = Home.open(), load_preset(JudgeConfig, "judge", preset, overrides)
    engine = open_database(home.database())
    found = judge_canary.run(home, environment, model, engine, config, act=not look_only)
    typer.echo(json.dumps(found.body(), indent=2) if as_json else found.text())
