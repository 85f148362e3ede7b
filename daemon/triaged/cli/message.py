"""`triaged message`: the ledger of mails received."""

import sys
from typing import TYPE_CHECKING

import click

from triaged.cli import ROW, json_option, print_json

if TYPE_CHECKING:
    from triaged.cli import Cli


@click.group()
def message() -> None:
    """The ledger of mails received."""


@message.command("list")
@click.option("--state", type=click.Choice(["received", "decided", "quarantined", "dropped", "erased"]))
@click.option("--limit", type=click.IntRange(1), help="Only the newest so many.")
@json_option
@click.pass_obj
def list_(cli: "Cli", state: str | None, limit: int | None, as_json: bool) -> None:
    """Mails, oldest first."""
    from triaged.adapters import terminal
    from triaged.adapters.db import casebook

    with cli.database.read() as session:
        records = casebook.listed(session, state, limit)
    if as_json:
        print_json([record.row for record in records])
        return
    terminal.table(
        ("id", "arrived", "mailbox", "from", "state", "decision", "reason", "ticket"),
        (
            (
                r["id"],
                f"{r['received_at']:%Y-%m-%d %H:%M}",
                r["mailbox"],
                r["from"],
                r["state"],
                r["decision"],
                r["reason"],
                r["ticket"],
            )
            for r in (record.row for record in records)
        ),
        "no mails yet: `triaged run` fetches them",
    )


@message.command()
@click.argument("number", type=ROW)
@json_option
@click.pass_obj
def show(cli: "Cli", number: int, as_json: bool) -> None:
    """One mail: where it came from and how it was decided."""
    from triaged.adapters import terminal
    from triaged.adapters.db import casebook

    with cli.database.read() as session:
        record = casebook.one(session, number)
    if as_json:
        print_json(record.document())
        return
    terminal.facts(record.row.items())
    if record.receipt:
        terminal.decision(record.receipt, f"message {number}")
        terminal.steps(record.receipt)
    if record.error:
        terminal.say(f"error: {record.error}", "red")


@message.command()
@click.argument("number", type=ROW)
@click.pass_obj
def raw(cli: "Cli", number: int) -> None:
    """The bytes as they came, to stdout."""
    from triaged.adapters.db import ledger

    with cli.database.read() as session:
        data = ledger.raw(session, number)
    sys.stdout.buffer.write(data)


@message.command()
@click.argument("number", type=ROW)
@json_option
@click.pass_obj
def replay(cli: "Cli", number: int, as_json: bool) -> None:
    """What today's code and policy would decide on a stored mail; nothing is stored, nothing sent."""
    from triaged import app
    from triaged.adapters import terminal

    receipt = app.replay(cli.app, number).document()
    if as_json:
        print_json(receipt)
        return
    terminal.decision(receipt, f"message {number}, decided again")
    terminal.steps(receipt)


@message.command(hidden=True)
@click.pass_obj
def rehearse(cli: "Cli") -> None:
    """The daemon's own child for mails that it tried in vain: their numbers come on stdin."""
    from triaged import app

    app.rehearse(cli.app, sys.stdin, sys.stdout.buffer)
