"""`triaged quarantine`: mails that could not be read or decided; their bytes are intact."""

from typing import TYPE_CHECKING

import click

from triaged.cli import ROW, Exit, json_option, print_json, stop

if TYPE_CHECKING:
    from triaged.cli import Cli


@click.group()
def quarantine() -> None:
    """Mails that could not be read: list, show, release, drop."""


@quarantine.command("list")
@json_option
@click.pass_obj
def list_(cli: "Cli", as_json: bool) -> None:
    """What lies in quarantine, oldest first."""
    from triaged.adapters import terminal
    from triaged.adapters.db import casebook

    with cli.database.read() as session:
        records = casebook.listed(session, "quarantined")
    if as_json:
        print_json([{**record.row, "error": record.error} for record in records])
        return
    terminal.table(
        ("id", "arrived (UTC)", "mailbox", "from", "size", "reason", "error"),
        (
            (
                r.row["id"],
                f"{r.row['received_at']:%Y-%m-%d %H:%M}",
                r.row["mailbox"],
                r.row["from"],
                r.row["size"],
                r.row["reason"],
                r.error,
            )
            for r in records
        ),
        "quarantine is empty",
    )


@quarantine.command()
@click.argument("number", type=ROW)
@json_option
@click.pass_obj
def show(cli: "Cli", number: int, as_json: bool) -> None:
    """One mail in quarantine: the error, and its header as far as it can be shown safely."""
    from triaged.adapters import terminal
    from triaged.adapters.db import casebook, ledger

    with cli.database.read() as session:
        record = casebook.one(session, number)
        if record.row["state"] != "quarantined":
            stop(Exit.PROBLEMS, f"message {number} is {record.row['state']}, not in quarantine")
        head = (
            ledger.raw(session, number)[:4000]
            .decode("utf-8", "replace")
            .replace("\r\n", "\n")
            .replace("\t", "    ")
            .partition("\n\n")[0]
        )
    if as_json:
        print_json({**record.document(), "header": head})
        return
    terminal.facts([*record.row.items(), ("error", record.error)], f"message {number}")
    terminal.mail("header", [], head)
    terminal.say(f"→ triaged quarantine release {number}   decide it again with today's code and policy")
    terminal.say(f"→ triaged quarantine drop {number} --why …   nobody needs it; the ledger keeps the row")


@quarantine.command()
@click.argument("number", type=ROW)
@click.pass_obj
def release(cli: "Cli", number: int) -> None:
    """Let the daemon decide NUMBER again, with today's code and policy."""
    from triaged.adapters.db import casebook

    with cli.database.write() as session:
        casebook.again(session, number, ("quarantined",), "quarantine release")
    click.echo(f"message {number}: will be decided again by the daemon, or by `triaged run --once`")


@quarantine.command()
@click.argument("number", type=ROW)
@click.option("--why", default="no reason given", help="The reason; the ledger keeps it.")
@click.pass_obj
def drop(cli: "Cli", number: int, why: str) -> None:
    """Nobody needs NUMBER: it stays in the ledger as dropped, with the reason."""
    from triaged.adapters.db import casebook

    with cli.database.write() as session:
        casebook.drop(session, number, why)
    click.echo(f"message {number}: dropped")
