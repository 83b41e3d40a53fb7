"""`tastemaker promote`, `rollback`, `history`, `diff`, `trust` and `verify-promotions`."""

import sys
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tastemaker.core.errors import ConfigError, NotFound
from tastemaker.core.home import Home

if TYPE_CHECKING:
    from tastemaker.promotion.evidence import Evidence
    from tastemaker.promotion.history import Step
    from tastemaker.promotion.model_file import Pins

Model = Annotated[str, typer.Argument(help="encoder, retrieval, recommender or router.")]
Environment = Annotated[str, typer.Option(help="Which environment.")]
Days = Annotated[float, typer.Option(help="Evidence older than this does not count.")]
Why = Annotated[str, typer.Option(help="A sentence for the commit.")]


def add_to(app: typer.Typer) -> None:
    """Offer the verbs."""
    panel = "What is live"
    for verb in (promote, rollback, history, diff, trust):
        app.command(rich_help_panel=panel)(verb)
    app.command("verify-promotions", rich_help_panel=panel)(verify_promotions)


def promote(
    bundle: Annotated[list[str], typer.Argument(help="Digests; several become live as one set.")],
    to: Annotated[str, typer.Option(help="Environment.")],
    canary: Annotated[int, typer.Option(help="Try it on 1 to 50 percent of the requests.")] = 0,
    branch: Annotated[bool, typer.Option(help="Push a branch for review instead.")] = False,
    evidence: Annotated[
        list[str], typer.Option(help="Digests; default: the newest of each bundle that passed.")
    ] = [],  # noqa: B006 - typer copies it
    why: Why = "",
    max_age_days: Days = 14,
) -> None:
    """Make a bundle live by a commit that carries its evidence."""
    from tastemaker.promotion.evidence import load_text, read_unverified
    from tastemaker.promotion.model_file import Live
    from tastemaker.promotion.promote import propose

    home = Home.open()
    chosen = evidence or [_newest(home, one, to) for one in bundle]
    read = [read_unverified(load_text(home, one)) for one in chosen]
    live: dict[str, Live] = {one.model: Live(one.bundle, one.dataset, one.space) for one in read}
    for digest in bundle:
        if digest not in {one.bundle for one in live.values()}:
            raise ConfigError(f"none of the evidence is of bundle {digest}")
    made = propose(
        home,
        to,
        live,
        chosen,
        why,
        canary=canary or None,
        to_branch=branch,
        max_age=timedelta(days=max_age_days),
    )
    what = f"promoted by commit {made.commit[:12]}" if made.made else "is live already"
    typer.echo(f"pushed to branch {made.branch}: commit {made.commit[:12]}" if branch else what)
    if made.said:
        typer.echo(made.said)


def rollback(model: Model, environment: Environment = "local", why: Why = "") -> None:
    """End a running canary, else restore the last other bundle that was live, by a commit."""
    from tastemaker.promotion import promote
    from tastemaker.promotion.environment import get_live

    home = Home.open()
    commit = promote.rollback(home, environment, model, why)
    live = get_live(home, environment, model).bundle
    typer.echo(f"{model} of {environment} is {live} again: commit {commit[:12]}")


def history(
    model: Model,
    environment: Environment = "local",
    limit: Annotated[int, typer.Option(help="Newest so many.")] = 20,
) -> None:
    """Say what was live when, by which commit, and what its evidence said."""
    from tastemaker.promotion.history import history as steps_of

    steps = steps_of(Home.open(), environment, model)
    if not steps:
        raise NotFound(f"nothing was ever live as {model} of environment {environment!r}")
    for step in steps[:limit]:
        typer.echo(_line(step))
        for found in step.evidence:
            figures = ", ".join(f"{k} {m.value:.4g}" for k, m in sorted(found.metrics.items()))
            typer.echo(f"    {found.bundle}: {figures or 'no metrics'}")


def diff(
    first: Annotated[str, typer.Argument(help="Environment.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
) -> None:
    """Compare what is live in two environments; exits with 1 where they differ."""
    from tastemaker.promotion.history import differences

    found = differences(Home.open(), first, second)
    if not any(one.first or one.second for one in found):
        raise NotFound(f"nothing is live in environments {first!r} and {second!r}")
    for one in found:
        if one.first == one.second:
            typer.echo(f"{one.model:<12} same      {_pins(one.first)}")
        else:
            typer.echo(f"{one.model:<12} {first:<9} {_pins(one.first)}")
            typer.echo(f"{'':<12} {second:<9} {_pins(one.second)}")
    raise typer.Exit(1 if any(one.first != one.second for one in found) else 0)


def trust(name: Annotated[str, typer.Argument(help="Of the key's file.")]) -> None:
    """Commit this home's public key to those whose evidence counts."""
    from tastemaker.promotion.promote import trust_key

    typer.echo(f"trusted since commit {trust_key(Home.open(), name)[:12]}")


def verify_promotions(
    commits: Annotated[str, typer.Argument(help="OLD..NEW; empty: a hook's input.")] = "",
    repository: Annotated[str, typer.Option(help="A bare repository, or one with .git.")] = ".",
    branch: Annotated[str, typer.Option(help="The one that says what is live.")] = "main",
    max_age_days: Days = 14,
) -> None:
    """Check every promotion of a range of commits: in CI, or as a pre-receive hook."""
    from tastemaker.promotion import pre_receive
    from tastemaker.promotion.git import Git

    folder = Path(repository).resolve()
    git = Git(folder / ".git" if (folder / ".git").is_dir() else folder)
    lines: Iterable[str] = sys.stdin
    if commits:
        old, dots, new = commits.partition("..")
        ids = [git.resolve(one) for one in (old, new)] if dots else ["", ""]
        for name, found in zip((old, new), ids, strict=True):
            if not found:
                raise ConfigError(f"commits={commits!r}: OLD..NEW of commits, {name!r} is none")
        lines = [f"{ids[0]} {ids[1]} refs/heads/{branch}"]
    checked = pre_receive.check(git, lines, branch, timedelta(days=max_age_days))
    typer.echo(f"{checked} commits checked")


def _newest(home: Home, bundle: str, environment: str) -> str:
    """Digest of the newest evidence of a bundle for an environment that passed."""
    from tastemaker.promotion.bundle import load_bundle

    load_bundle(home, bundle)  # says so where it is not there
    found = [one for one in _kept(home) if one[1].bundle == bundle]
    of_environment = [one for one in found if one[1].environment == environment]
    if not of_environment:
        others = sorted({one.environment for _, one in found})
        rest = f" (there is some for {', '.join(others)})" if others else ""
        raise NotFound(
            f"no evidence of bundle {bundle} for environment {environment!r}{rest}: "
            "run the gates with `tastemaker gate` first"
        )
    digest, newest = max(of_environment, key=lambda one: (one[1].passed, one[1].created))
    if not newest.passed:
        failed = ", ".join(gate.name for gate in newest.gates if not gate.passed)
        raise NotFound(f"bundle {bundle} did not pass the gates of {environment!r}: {failed}")
    return digest


def _kept(home: Home) -> "list[tuple[str, Evidence]]":
    from tastemaker.promotion.evidence import load_text, read_unverified

    names = [name for name in home.names("evidence") if name.endswith(".json")]
    digests = [name.removesuffix(".json") for name in names]
    return [(digest, read_unverified(load_text(home, digest))) for digest in digests]


def _line(step: "Step") -> str:
    return f"{step.commit[:12]} {step.time:%Y-%m-%d %H:%M} {_pins(step.after)}  {step.subject}"


def _pins(pins: "Pins | None") -> str:
    if pins is None:
        return "(nothing)"
    tried = f" + canary {pins.canary.bundle} {pins.canary.weight} %" if pins.canary else ""
    return f"{pins.live.bundle} over {pins.live.dataset}{tried}"
