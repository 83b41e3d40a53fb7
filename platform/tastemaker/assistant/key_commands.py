"""`tastemaker key ...`: make, list and revoke API keys."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # the database is imported when a verb runs, so that --help answers at once
    from tastemaker.assistant.keys import ApiKey, KeyStore

app = typer.Typer(help="API keys of the assistant.", no_args_is_help=True)

_S_A_DAY = 86_400
Database = Annotated[
    str,
    typer.Option(
        help="SQLAlchemy URL; default: TASTEMAKER_DATABASE, else run/assistant.db in the home.",
    ),
]


@app.command("create")
def create(
    name: str = typer.Argument(help="Who will hold it: letters, digits, '.', '_' and '-'."),
    user: str = typer.Option("", help="The one user that it acts for."),
    role: Annotated[list[str], typer.Option(help="service or operator; repeatable.")] = [],  # noqa: B006 - typer copies it
    requests_per_minute: int = typer.Option(60, help="Rate limit."),
    cents_per_day: float = typer.Option(100.0, help="Spend limit of a UTC day."),
    days: float = typer.Option(0.0, help="Until it expires; 0 for never."),
    database: Database = "",
) -> None:
    """Make a key and print it: it is shown this once."""
    key, made = _store(database).create(
        name,
        user_id=user or None,
        roles=role,
        requests_per_minute=requests_per_minute,
        cents_per_day=cents_per_day,
        expires_s=days * _S_A_DAY if days else None,
    )
    typer.echo(key)
    typer.echo(f"{_said(made)}\nKeep it now: only its hash is stored.", err=True)


@app.command("list")
def list_keys(database: Database = "") -> None:
    """List all keys, without their secrets."""
    for key in _store(database).all():
        typer.echo(_said(key))


@app.command("revoke")
def revoke(name: str = typer.Argument(help="The key's name."), database: Database = "") -> None:
    """Revoke a key; a running assistant refuses it within seconds."""
    typer.echo(_said(_store(database).revoke(name)))


def _store(database: str) -> "KeyStore":
    from tastemaker.assistant.keys import KeyStore
    from tastemaker.core.database import open_database
    from tastemaker.core.home import Home

    return KeyStore(open_database(database or Home.open().database()))


def _said(key: "ApiKey") -> str:
    acts = f"user {key.user_id}" if key.user_id else ", ".join(sorted(key.roles))
    limits = f"{key.requests_per_minute} a minute, {key.cents_per_day:g} cents a day"
    if key.revoked_ms is not None:
        state = f"revoked {_day(key.revoked_ms)}"
    else:
        state = "never expires" if key.expires_ms is None else f"expires {_day(key.expires_ms)}"
    return f"{key.name}  {key.key_id}  {acts}  {limits}  {state}"


def _day(time_ms: int) -> str:
    return f"{datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
