"""`triaged room`: meeting rooms, and the licences that cover them (rows C11, C14, C17)."""

from datetime import date
from typing import TYPE_CHECKING

import click

from triaged.cli import estate, json_option, print_json

if TYPE_CHECKING:
    from triaged.cli import Cli


@click.group()
def room() -> None:
    """Rooms: list, show, add, import, export; assign, release and move their licences.

    A room is named as RM-000012 or by its name; a contract as SC-000012."""


_IMPORT = """Add and change rooms from FILE (CSV; `-` is stdin): columns customer, site, name, country, place,
jumpstart, devices.

`jumpstart` is the day on which a JumpStart was bought; `devices` holds serial|product|purchase date;… and puts them
into the room. All of it or nothing: every problem is named by its line."""

room.add_command(estate.import_command("rooms", "import", _IMPORT))
room.add_command(estate.export_command("rooms", "export", "Every room with its devices as CSV, as `import` reads it."))


@room.command("list")
@estate.customer_option()
@json_option
@click.pass_obj
def list_(cli: "Cli", customer: str | None, as_json: bool) -> None:
    """Rooms with the contracts that cover them, and which service answers for them."""
    from triaged.adapters import terminal
    from triaged.adapters.db import estate_views

    with cli.database.read() as session:
        wanted = estate.customer_id(session, customer)
        found = estate_views.rooms(session, estate.now(), cli.settings.catalogue, wanted)
    if as_json:
        print_json([one.document() for one in found])
        return
    terminal.table(
        ("room", "customer", "site", "name", "country", "contracts", "answered by", "until", "devices"),
        (
            (
                r.number, r.customer, r.site, r.name, r.country, [one.number for one in r.licences],
                r.committed.by.value, r.committed.until, len(r.devices),
            )
            for r in found
        ),
        "no rooms: `triaged room import FILE` brings them in",
    )  # fmt: skip


@room.command()
@click.argument("name", metavar="ROOM")
@json_option
@click.pass_obj
def show(cli: "Cli", name: str, as_json: bool) -> None:
    """One room with its devices and its history."""
    from triaged.adapters import terminal
    from triaged.adapters.db import estate_views, rooms

    with cli.database.read() as session:
        row = rooms.room(session, name)
        found = estate_views.rooms(session, estate.now(), cli.settings.catalogue, row.customer_id)
        view = next(one for one in found if one.id == row.id)
        history = estate_views.told(session, estate_views.room_history(session, row))
    document = view.document()
    if as_json:
        print_json(document | {"history": history})
        return
    devices = document.pop("devices")
    terminal.facts(document.items(), f"{view.number} {view.name}")
    columns = ("serial", "product", "purchased_on", "covered_until")
    terminal.table(columns, ([device[name] for name in columns] for device in devices), "no devices")
    terminal.table(("when (UTC)", "who", "what", "contract", "room", "came from"), ([*h.values()] for h in history))


@room.command()
@click.argument("name", type=estate.TEXT)
@estate.customer_option(required=True)
@click.option("--site", type=estate.TEXT, default="", help="Where the site is an account by itself.")
@click.option("--country", type=estate.COUNTRY, default="", help="ISO code, where it is not the customer's.")
@click.option("--place", type=estate.TEXT, default="", help="Where hardware would be shipped to.")
@click.option("--jumpstart", type=estate.DAY, default=None, help="The day on which a JumpStart was bought.")
@click.pass_obj
def add(cli: "Cli", name: str, customer: str, site: str, country: str, place: str, jumpstart: date | None) -> None:
    """Add the room NAME."""
    from triaged.domain.estate_records import RoomRecord

    key = estate.add_one(cli, "rooms", RoomRecord(customer, name, site, country, place, jumpstart))
    click.echo(f"{key}: added")


@room.command()
@click.argument("contract")
@click.argument("names", metavar="ROOM...", nargs=-1, required=True)
@click.pass_obj
def assign(cli: "Cli", contract: str, names: tuple[str, ...]) -> None:
    """Cover each ROOM by a licence of CONTRACT, all or none; customer and CSM hear where the service differs."""
    from triaged.workflows import estate as work

    notices = work.assign(estate.bureau(cli), contract, names, estate.now())
    click.echo(f"{', '.join(names)}: covered by {contract.upper()}")
    estate.tell_owed(notices)


@room.command()
@click.argument("contract")
@click.argument("name", metavar="ROOM")
@click.pass_obj
def release(cli: "Cli", contract: str, name: str) -> None:
    """Take the licence of CONTRACT from ROOM: it is free for another one."""
    from triaged.workflows import estate as work

    work.release(estate.bureau(cli), contract, name, estate.now())
    click.echo(f"{name}: released from {contract.upper()}")


@room.command()
@click.argument("contract")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.pass_obj
def move(cli: "Cli", contract: str, source: str, target: str) -> None:
    """Move the licence of CONTRACT from one room to another."""
    from triaged.workflows import estate as work

    notices = work.move_licence(estate.bureau(cli), contract, source, target, estate.now())
    click.echo(f"{contract.upper()}: {source} → {target}")
    estate.tell_owed(notices)
