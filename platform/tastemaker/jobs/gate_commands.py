"""`tastemaker gate` and `tastemaker evidence`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tastemaker.core.errors import ConfigError, EvidenceError, NotFound
from tastemaker.core.home import Home

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from tastemaker.jobs.gate_asked import Simulation

evidence_app = typer.Typer(help="What the gates found, signed.", no_args_is_help=True)
Named = Annotated[str, typer.Argument(metavar="FILE|DIGEST", help="A signed line, or its digest.")]


def add_to(app: typer.Typer) -> None:
    """Offer the verbs."""
    app.command(rich_help_panel="What is live")(gate)
    app.add_typer(evidence_app, name="evidence", rich_help_panel="What is live")


def gate(
    model: Annotated[str, typer.Argument(help="encoder, retrieval, recommender or router.")],
    bundle: Annotated[str, typer.Argument(help="Digest of the bundle.")],
    dataset: Annotated[str, typer.Option(help="Version that it is to serve over.")],
    environment: Annotated[str, typer.Option(help="Where it is to become live.")] = "local",
    preset: Annotated[str, typer.Option(help="Of the family's thresholds.")] = "default",
    overrides: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="Override one; repeatable.")
    ] = [],  # noqa: B006 - typer copies it
    dialogues: Annotated[str, typer.Option(help="Of a router; default: its own.")] = "",
    beside: Annotated[
        list[str], typer.Option(metavar="MODEL=BUNDLE", help="Promoted with it; repeatable.")
    ] = [],  # noqa: B006
    simulation: Annotated[
        str, typer.Option(help="Digest that `tastemaker simulate` printed, of it against live.")
    ] = "",
    again: Annotated[bool, typer.Option(help="Also where fresh evidence is there.")] = False,
) -> None:
    """Judge a bundle against thresholds and what is live; prints the evidence's digest."""
    from tastemaker.core.config import load_preset
    from tastemaker.evaluation.gate_config import GatesConfig, preset_family
    from tastemaker.jobs import gate as job
    from tastemaker.promotion import checkout

    family = job.FAMILY_OF.get(model)
    if family is None:
        raise ConfigError(f"model={model!r}: the models are {', '.join(job.FAMILY_OF)}")
    home = Home.open()
    simulated = _simulation(home, simulation) if simulation else None
    checkout.update(home)  # it is compared with what is live now
    digest = job.run(
        home,
        model,
        bundle,
        dataset,
        environment,
        config=load_preset(GatesConfig, preset_family(family), preset, overrides),
        dialogues=dialogues,
        beside=_beside(beside, list(job.FAMILY_OF)),
        simulation=simulated,
        again=again,
    )
    typer.echo(digest)


@evidence_app.command()
def show(named: Named) -> None:
    """Print what evidence says, without asking who signed it."""
    from tastemaker.promotion.evidence import read_unverified

    found = read_unverified(_text(Home.open(), named))
    typer.echo(f"{found.model} {found.bundle} for {found.environment}, judged {found.created}")
    typer.echo(f"dataset {found.dataset}, space {found.space}, live then: {found.baseline or '-'}")
    typer.echo(f"thresholds {found.thresholds}, version {found.code_version}")
    for name, metric in sorted(found.metrics.items()):
        gain = "" if metric.gain is None else f", gain {metric.gain:+.4f} ({metric.comparison})"
        typer.echo(f"  {name} {metric.value:.4f} ({metric.low:.4f} to {metric.high:.4f}){gain}")
    for one in found.gates:
        typer.echo(f"{'passed' if one.passed else 'FAILED'}  {one.name}: {one.rule}")
    typer.echo("passed" if found.passed else "did not pass")


@evidence_app.command()
def verify(
    named: Named,
    key: Annotated[
        list[Path], typer.Option(help="A trusted .pub file; default: the repository's and mine.")
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Check that evidence is as it was signed, by a key that is trusted."""
    from tastemaker.promotion import evidence, signing

    home = Home.open()
    trusted = signing.trusted(_read(path) for path in key) if key else _trusted(home)
    found = evidence.verify(_text(home, named), trusted)
    verdict = "passed" if found.passed else "did not pass"
    typer.echo(f"genuine: {found.model} {found.bundle} {verdict} for {found.environment}")


def _trusted(home: Home) -> "dict[str, Ed25519PublicKey]":
    from tastemaker.promotion import repository, signing, verification

    own = signing.private_key(home).public_key()
    keys = {signing.key_id(own): own}
    if repository.is_there(home):
        found = repository.open_repository(home)
        keys |= verification.keys_at(found.git, found.fetch())
    return keys


def _text(home: Home, named: str) -> str:
    from tastemaker.promotion.evidence import load_text

    path = Path(named)
    return _read(path).removesuffix("\n") if path.is_file() else load_text(home, named)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise EvidenceError(f"{path} cannot be read: {error}") from None


def _beside(given: list[str], models: list[str]) -> dict[str, str]:
    found = {}
    for one in given:
        model, equals, bundle = one.partition("=")
        if model not in models or not (equals and bundle):
            raise ConfigError(f"--beside {one!r}: MODEL=BUNDLE, of {', '.join(models)}")
        found[model] = bundle
    return found


def _simulation(home: Home, digest: str) -> "Simulation":
    from tastemaker.jobs.gate_asked import Simulation

    ours = home.read_text("simulations", digest, "cases.json")
    if ours is None:
        raise NotFound(f"no simulation {digest!r} in {home.location}")
    theirs = home.read_text("simulations", digest, "against-cases.json")
    return Simulation(json.loads(ours), json.loads(theirs) if theirs else None)
