"""`triaged customer`: the end customers of service contracts, their sites, and whose spares count together."""

from typing import TYPE_CHECKING

import click

from triaged.cli import Exit, json_option, print_json, stop
from triaged.cli import directory as commands

if TYPE_CHECKING:
    from triaged.cli import Cli


@click.group()
def customer() -> None:
    """Customers of service contracts: list, show, import, export. Orders make the ones that are not there."""


customer.add_command(commands.import_command("customer"))
customer.add_command(commands.export_command("customer"))


@customer.command("list")
@json_option
@click.pass_obj
def list_(cli: "Cli", as_json: bool) -> None:
    """Customers by name."""
    from triaged.adapters import terminal
    from triaged.adapters.db import directory

    with cli.database.read() as session:
        records = list(directory.everything(session, directory.CUSTOMERS))
    if as_json:
        print_json([record.document() for record in records])
        return
    terminal.table(
        ("name", "parent", "country", "head office", "sites", "domains", "csm"),
        ((c.name, c.parent, c.country, c.head_office, len(c.sites), ", ".join(c.domains), c.csm) for c in records),
        "no customers: orders make them, or `triaged customer import FILE` brings them in",
    )


@customer.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(cli: "Cli", name: str, as_json: bool) -> None:
    """One customer by NAME, with its parent entity and its accounts: the global one and one per site."""
    from triaged.adapters import terminal
    from triaged.adapters.db import customers

    with cli.database.read() as session:
        found = customers.record(session, name)
        if found is None:
            stop(Exit.PROBLEMS, f"there is no customer {name}: `triaged customer list` shows them")
        row_id, record = found
        family, accounts = customers.family(session, row_id), customers.accounts(session, row_id)
    entity = {"name": family.root, "customers": len(family.members), "csm": family.csm or None}
    groups = [{"site": site, "contracts": count} for site, count in accounts.items()]
    if as_json:
        print_json(record.document() | {"parent_entity": entity, "accounts": groups})
        return
    facts = {**record.document(), "parent entity": f"{family.root} ({len(family.members):,} customers)"}
    terminal.facts(((key, "; ".join(v) if isinstance(v, list) else v) for key, v in facts.items()), record.name)
    terminal.table(
        ("account", "contracts"),
        ((group["site"] or "global (head office)", group["contracts"]) for group in groups),
        "no contracts",
    )
