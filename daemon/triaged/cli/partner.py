"""`triaged partner`: who may write to us with priority."""

from typing import TYPE_CHECKING

import click

from triaged.cli import Exit, json_option, print_json, stop
from triaged.cli import directory as commands

if TYPE_CHECKING:
    from triaged.cli import Cli


@click.group()
def partner() -> None:
    """Registered partners: list, show, import, export."""


partner.add_command(commands.import_command("partner"))
partner.add_command(commands.export_command("partner"))


@partner.command("list")
@json_option
@click.pass_obj
def list_(cli: "Cli", as_json: bool) -> None:
    """Partners by name."""
    from triaged.adapters import terminal
    from triaged.adapters.db import directory

    with cli.database.read() as session:
        records = list(directory.everything(session, directory.PARTNERS))
    if as_json:
        print_json([record.document() for record in records])
        return
    terminal.table(
        ("name", "region", "locale", "domains", "contacts"),
        ((p.name, p.region, p.locale, ", ".join(p.domains), ", ".join(p.contacts)) for p in records),
        "no partners: `triaged partner import FILE` brings them in",
    )


@partner.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(cli: "Cli", name: str, as_json: bool) -> None:
    """One partner, by NAME or by an address that it writes from."""
    from triaged.adapters import terminal
    from triaged.adapters.db import directory

    with cli.database.read() as session:
        record = directory.partner(session, name)
        claims = (
            (record,) if record else directory.claims(session, name.strip().lower(), commands.rules(cli).public_domains)
        )
    if not claims:
        stop(Exit.PROBLEMS, f"there is no partner {name}: `triaged partner list` shows them")
    if len(claims) > 1:
        names = ", ".join(claim.name for claim in claims)
        stop(Exit.PROBLEMS, f"{name} is claimed by {names}: make it a contact of one of them")
    if as_json:
        print_json(claims[0].document())
        return
    document = claims[0].document()
    terminal.facts(((key, ", ".join(v) if isinstance(v, list) else v) for key, v in document.items()), claims[0].name)
