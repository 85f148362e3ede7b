"""`triaged db`: the schema."""

from typing import TYPE_CHECKING

import click

from triaged.cli import json_option, print_json

if TYPE_CHECKING:
    from triaged.cli import Cli


@click.group()
def db() -> None:
    """The database's schema."""


@db.command()
@click.pass_obj
def upgrade(cli: "Cli") -> None:
    """Bring the schema to this program's version."""
    from triaged import app

    before, after = app.upgrade(cli.app)
    click.echo(f"the schema is at {after}" + (" already" if before == after else f" (was {before or 'empty'})"))


@db.command()
@json_option
@click.pass_obj
def current(cli: "Cli", as_json: bool) -> None:
    """The schema's version, and the one that this program needs; exit 1 where they differ."""
    from triaged import app

    found, wanted = app.schema(cli.app)
    if as_json:
        print_json({"database": found, "program": wanted})
    else:
        click.echo(f"the database has {found or 'no schema'}, this program needs {wanted}")
    if found != wanted:
        click.echo("→ triaged db upgrade", err=True)
        raise SystemExit(1)
