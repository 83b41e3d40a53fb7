"""`tastemaker why` and `tastemaker lineage`."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tastemaker.core.errors import NotFound
from tastemaker.core.home import Home

if TYPE_CHECKING:
    from tastemaker.jobs.lineage import Ref

Environment = Annotated[str, typer.Option(help="Where the turn was answered.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


def add_to(app: typer.Typer) -> None:
    """Offer the verbs."""
    for verb in (why, lineage):
        app.command(rich_help_panel="Where things come from")(verb)


def why(
    turn_id: Annotated[str, typer.Argument(help="Of an answer: 32 digits, or resp_ and those.")],
    environment: Environment = "local",
    text: Annotated[bool, typer.Option("--text", help="Show what was asked and said.")] = False,
    as_json: AsJson = False,
) -> None:
    """Follow an answer back to models, features, data, pipeline runs and commits."""
    from tastemaker.jobs.lineage import Ref

    turn = turn_id.removeprefix("resp_").removeprefix("chatcmpl-")
    _show(Ref("turn", turn), environment, as_json, with_text=text)


def lineage(
    digest: Annotated[str, typer.Argument(help="Of a bundle, dataset version or dialogues.")],
    as_json: AsJson = False,
) -> None:
    """Follow a bundle back to its data, runs, evidence and the commits that made it live."""
    from tastemaker.jobs.lineage import Ref

    home = Home.open()
    kinds = {"dataset": ("datasets", "%s.yaml"), "dialogues": ("dialogues", "%s")}
    kinds |= {"features": ("features", "%s"), "evidence": ("evidence", "%s.json")}
    found = (kind for kind, (at, name) in kinds.items() if home.holds(at, name % digest))
    _show(Ref(next(found, "bundle"), digest), "local", as_json, with_text=False)


def _show(start: "Ref", environment: str, as_json: bool, *, with_text: bool) -> None:
    from tastemaker.core.database import open_database
    from tastemaker.jobs import lineage as graphs
    from tastemaker.jobs.lineage_readers import Reader

    home = Home.open()
    engine = open_database(home.database()) if start.kind == "turn" else None
    graph = graphs.follow(start, Reader(home, engine, environment, with_text))
    node = graph[start]
    if node.missing and all(graph[to].missing for _, to in node.links):
        raise NotFound(node.missing)
    shown = graphs.body(graph, start)
    typer.echo(json.dumps(shown, indent=1) if as_json else graphs.text(graph, start))
