"""`tastemaker home ...`: look at a home, and copy what models need from one to another."""

import os
import shutil
from typing import Annotated

import typer

from tastemaker.core.errors import ConfigError
from tastemaker.core.home import Home

app = typer.Typer(help="The home: check it, copy from one to another.", no_args_is_help=True)

Digests = Annotated[list[str], typer.Option(help="Digest; repeatable.")]


@app.command("check")
def check(
    location: str = typer.Argument("", help="A folder or s3://bucket/prefix; the home if empty."),
) -> None:
    """Say whether a home works: server, credentials, conditional PUT, free space.

    Exits with 1 where no table can be written.
    """
    home = Home.open(location or None)
    lines = {"home": home.location}
    tables = True
    if home.store:
        tables = home.store.conditional_put
        kind = "access key" if home.store.settings.access_key else "role of this pod"
        lines |= {
            "server": home.store.settings.server,
            "credentials": f"accepted ({kind})",
            "conditional PUT": "yes" if tables else "no: tables cannot be written here",
            "cache": str(home.root),
            "database": "TASTEMAKER_DATABASE is set"
            if os.environ.get("TASTEMAKER_DATABASE")
            else "TASTEMAKER_DATABASE is not set: features and the assistant need it",
        }
    lines["free here"] = f"{shutil.disk_usage(home.root).free / 2**30:.1f} GiB"
    for name, value in lines.items():
        typer.echo(f"{name:<16} {value}")
    raise typer.Exit(0 if tables else 1)


@app.command("copy")
def copy(
    source: str = typer.Argument(help="A folder or s3://bucket/prefix."),
    target: str = typer.Argument(help="A folder or s3://bucket/prefix."),
    bundle: Digests = [],  # noqa: B006 - typer copies it
    dataset: Digests = [],  # noqa: B006 - typer copies it
    environment: str = typer.Option("", help="What is live there: its bundles and datasets."),
) -> None:
    """Copy bundles and dataset versions with all that they need; what is there already stays."""
    from tastemaker.jobs.copy_home import HomeCopy

    if not (bundle or dataset or environment):
        raise ConfigError("nothing to copy: give --bundle, --dataset or --environment")
    copied: list[str] = []

    def tell(name: str) -> None:
        copied.append(name)
        typer.echo(name)

    work = HomeCopy(Home.open(source), Home.open(target), tell)
    if environment:
        work.environment(environment)
    for digest in bundle:
        work.bundle(digest)
    for digest in dataset:
        work.dataset(digest)
    typer.echo(f"{len(copied)} things copied" if copied else "everything was there already")
