"""`triaged spares`: on-site spares of each parent entity, granted and agreed on (row C12)."""

from typing import TYPE_CHECKING

import click

from triaged.cli import estate, json_option, print_json

if TYPE_CHECKING:
    from triaged.adapters.db.estate import SparesRecord
    from triaged.cli import Cli


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def spares(ctx: click.Context, as_json: bool) -> None:
    """On-site spares: list, show, agree, withdraw; alone it lists them."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, as_json=as_json)


@spares.command("list")
@json_option
@click.pass_obj
def list_(cli: "Cli", as_json: bool) -> None:
    """Each parent entity with its Select licences in force, the units granted, and what was agreed on."""
    from triaged.adapters import terminal
    from triaged.adapters.db import estate as ledger

    with cli.database.read() as session:
        found = ledger.all_spares(session, estate.now(), cli.settings.catalogue)
    if as_json:
        print_json([one.document() for one in found])
        return
    documents = [one.document() for one in found]
    columns = ("customer", "rooms", "granted", "open", "to_return", "csm")
    terminal.table(
        ("customer", "rooms", "granted", "to agree on", "to return", "CSM"),
        ([one[name] for name in columns] for one in documents),
        "no Select contracts yet",
    )


@spares.command()
@click.argument("customer")
@json_option
@click.pass_obj
def show(cli: "Cli", customer: str, as_json: bool) -> None:
    """The spares of the parent entity that CUSTOMER belongs to."""
    from triaged.adapters.db import customers, rooms
    from triaged.adapters.db import estate as ledger

    with cli.database.read() as session:
        family = customers.family(session, rooms.need_customer(session, customer).id)
        _tell(ledger.spares_of(session, family, estate.now(), cli.settings.catalogue), as_json)


@spares.command()
@click.argument("customer")
@click.argument("product")
@click.argument("place")
@click.option("--units", type=click.IntRange(1), default=1, show_default=True)
@json_option
@click.pass_obj
def agree(cli: "Cli", customer: str, product: str, place: str, units: int, as_json: bool) -> None:
    """Write down what was agreed with the CSM: PRODUCT, which stands in the customer's rooms, to PLACE, an address of
    the customer or the place of a room."""
    from triaged.workflows import estate as work

    _tell(work.agree_spares(estate.bureau(cli), customer, (product, place, units), estate.now()), as_json)


@spares.command()
@click.argument("customer")
@click.argument("product")
@click.argument("place")
@click.option("--units", type=click.IntRange(1), default=1, show_default=True)
@json_option
@click.pass_obj
def withdraw(cli: "Cli", customer: str, product: str, place: str, units: int, as_json: bool) -> None:
    """Take back what was agreed on for CUSTOMER: a mistake, another choice, a unit that came back."""
    from triaged.workflows import estate as work

    _tell(work.withdraw_spares(estate.bureau(cli), customer, (product, place, units), estate.now()), as_json)


def _tell(record: "SparesRecord", as_json: bool) -> None:
    from triaged.adapters import terminal

    document = record.document()
    if as_json:
        print_json(document)
        return
    agreed = document.pop("agreed")
    terminal.facts(document.items(), record.family.root)
    columns = ("product", "place", "units")
    terminal.table(columns, ([one[name] for name in columns] for one in agreed), "nothing is agreed on yet")
