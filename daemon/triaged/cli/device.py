"""`triaged device`: devices by serial number, and earlier warranty extensions (rows C10, C11, C13)."""

from datetime import date
from typing import TYPE_CHECKING

import click

from triaged.cli import Exit, estate, json_option, print_json, stop

if TYPE_CHECKING:
    from triaged.cli import Cli


@click.group()
def device() -> None:
    """Devices: list, show, add, import, export, move; earlier warranty extensions."""


_IMPORT = """Add and change devices from FILE (CSV; `-` is stdin): columns serial, product, purchased_on, customer,
site, room.

With a column `room` each device is put where it says; an empty cell takes it out of its room. All of it or nothing:
every problem is named by its line."""

_EXTENSIONS = """Add and change earlier warranty extensions from FILE (CSV; `-` is stdin): columns serial, sku, years,
purchased_on, customer_name, customer_email, status (processed or pending).

`device extensions` shows which of them stand, and why the others do not."""

device.add_command(estate.import_command("devices", "import", _IMPORT))
device.add_command(estate.export_command("devices", "export", "Every device as CSV, as `import` reads it."))
device.add_command(estate.import_command("extensions", "import-extensions", _EXTENSIONS))
device.add_command(
    estate.export_command("extensions", "export-extensions", "Every extension as CSV, as `import-extensions` reads it.")
)


@device.command("list")
@estate.customer_option()
@json_option
@click.pass_obj
def list_(cli: "Cli", customer: str | None, as_json: bool) -> None:
    """Devices by serial number, where they stand, and until when their hardware is covered."""
    from triaged.adapters import terminal
    from triaged.adapters.db import estate_views

    with cli.database.read() as session:
        wanted = estate.customer_id(session, customer)
        found = estate_views.devices(session, estate.now(), cli.settings.catalogue, wanted)
    if as_json:
        print_json([one.document() for one in found])
        return
    terminal.table(
        ("serial", "product", "room", "covered until", "customer", "site", "bought"),
        ((d.serial, d.product, d.room, d.covered_until, d.customer, d.site, d.purchased_on) for d in found),
        "no devices: `triaged device import FILE` brings them in",
    )


@device.command()
@click.argument("serial")
@json_option
@click.pass_obj
def show(cli: "Cli", serial: str, as_json: bool) -> None:
    """One device with its extensions and its history."""
    from triaged.adapters import terminal
    from triaged.adapters.db import estate_views, rooms

    with cli.database.read() as session:
        row = rooms.device(session, serial)
        found = estate_views.devices(session, estate.now(), cli.settings.catalogue, row.customer_id)
        document = next(one for one in found if one.id == row.id).document()
        every = estate_views.extensions(session, cli.settings.catalogue)
        extensions = [one.document() for one in every if one.serial == row.serial]
        history = estate_views.told(session, estate_views.device_history(session, row))
    if as_json:
        print_json(document | {"extensions": extensions, "history": history})
        return
    terminal.facts(document.items(), row.serial)
    _extension_table(extensions)
    keys = ("at", "actor", "kind", "room", "came_from")
    terminal.table(("when (UTC)", "who", "what", "room", "came from"), ([h[key] for key in keys] for h in history))


@device.command()
@click.argument("serial", type=estate.SERIAL)
@click.argument("product", type=estate.TEXT)
@estate.customer_option(required=True)
@click.option("--purchased", type=estate.DAY, required=True, help="First purchase: the five years count from here.")
@click.option("--site", type=estate.TEXT, default="", help="Where the site is an account by itself.")
@click.option("--room", type=estate.TEXT, default="", help="Where it stands.")
@click.pass_obj
def add(cli: "Cli", serial: str, product: str, customer: str, purchased: date, site: str, room: str) -> None:
    """Add the device SERIAL, a supported PRODUCT."""
    from triaged.domain.estate_records import DeviceRecord

    key = estate.add_one(cli, "devices", DeviceRecord(serial, product, purchased, customer, site, room))
    click.echo(f"{key}: added")


@device.command()
@click.argument("serial")
@click.argument("room", required=False)
@click.option("--out", is_flag=True, help="Out of every room: in stock, in repair, gone.")
@click.pass_obj
def move(cli: "Cli", serial: str, room: str | None, out: bool) -> None:
    """Move the device SERIAL into ROOM of its account, or --out of its room."""
    from triaged.workflows import estate as work

    if out == (room is not None):
        stop(Exit.USAGE, "say into which ROOM, or --out")
    work.move_device(estate.bureau(cli), serial, room, estate.now())
    click.echo(f"{serial}: {room or 'in no room'}")


@device.command()
@estate.customer_option()
@json_option
@click.pass_obj
def extensions(cli: "Cli", customer: str | None, as_json: bool) -> None:
    """Earlier warranty extensions: until when they cover their device, or why they do not stand."""
    from triaged.adapters.db import estate_views

    with cli.database.read() as session:
        wanted = estate.customer_id(session, customer)
        found = [one.document() for one in estate_views.extensions(session, cli.settings.catalogue, wanted)]
    if as_json:
        print_json(found)
    else:
        _extension_table(found)


def _extension_table(found: list[dict[str, object]]) -> None:
    from triaged.adapters import terminal

    columns = ("serial", "sku", "years", "purchased_on", "customer_name", "ends", "reason")
    terminal.table(columns, ([one[name] for name in columns] for one in found), "no earlier warranty extensions")
