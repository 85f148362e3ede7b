"""`triaged db`: the schema, and copies of the whole."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from triaged.cli import json_option, print_json

if TYPE_CHECKING:
    from triaged.adapters.db.installation import Marked
    from triaged.cli import Cli


@click.group()
def db() -> None:
    """The database: upgrade, current, backup, restore, restored."""


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


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--force", is_flag=True, help="Replace FILE; the old one stays until the new is whole.")
@click.pass_obj
def backup(cli: "Cli", file: Path, force: bool) -> None:
    """Copy the whole database to FILE while the daemon works; on PostgreSQL by pg_dump."""
    from triaged.workflows import backup as story

    size = story.backup(cli.database, file, force=force)
    click.echo(f"{file}: {size} bytes, checked and on the disk")
    click.echo(
        f"Keep {cli.settings.service.secret_file} too, in another place: without this key answers to our mails and "
        "invitation links are not recognised any more"
    )


@db.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def restore(cli: "Cli", file: Path) -> None:
    """FILE takes the place of the SQLite database; no daemon may run. What the backup owes is held afterwards."""
    from triaged import settings
    from triaged.workflows import backup as story

    here = cli.app
    regions = tuple(here.settings.policy.regions)
    state = here.settings.service.state_dir
    done = story.restore(here.database, file, settings.shipped("migrations"), regions, state, datetime.now(UTC))
    click.echo(f"{file} is the database now" + (f"; the one before is {done.aside}" if done.aside else ""))
    _tell(done.marked)


@db.command()
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M"]),
    help="When the backup was made (UTC); else its last sign of life.",
)
@click.pass_obj
def restored(cli: "Cli", since: datetime | None) -> None:
    """Say that the database was restored by other means (pg_restore, a snapshot): its gap is marked."""
    from triaged.workflows import backup as story

    regions, state = tuple(cli.settings.policy.regions), cli.settings.service.state_dir
    begun = since.replace(tzinfo=UTC) if since else None
    _tell(story.declare(cli.database, regions, state, begun, datetime.now(UTC)))


def _tell(marked: "Marked") -> None:
    gap = marked.gap
    click.echo(f"gap: {gap.since:%Y-%m-%d %H:%M} to {gap.until:%Y-%m-%d %H:%M} UTC")
    click.echo(f"{marked.held} mails held, {marked.doubted} in doubt: they may have been sent in the gap")
    click.echo(
        "Mails that came in the gap are read again by the next `triaged run`, from the archive too, and answers held"
    )
    click.echo("Then `triaged queue list --state held`, `triaged queue release --restored` or `withdraw --restored`")
