"""`triaged message`: the ledger of mails received."""

import getpass
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from triaged.cli import ROW, Exit, json_option, print_json, stop

if TYPE_CHECKING:
    from triaged.cli import Cli
    from triaged.workflows.erasure import Plan


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
    from triaged.adapters.db import casebook, erasure

    with cli.database.read() as session:
        record, handled = casebook.one(session, number), erasure.handled(session, number)
    if as_json:
        print_json({**record.document(), "handled": handled})
        return
    told = [(one["did"], f"{one['at']:%Y-%m-%d %H:%M} UTC by {one['by']}: {one['why'] or '-'}") for one in handled]
    terminal.facts([*record.row.items(), *told])
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


@message.command()
@click.argument("numbers", type=ROW, nargs=-1)
@click.option("--sender", metavar="ADDRESS", help="Everything of one person instead.")
@click.option("--why", default="", help="The reason; the ledger keeps it.")
@click.option("--withdraw", is_flag=True, help="What is still owed for it never goes out.")
@click.option("--dry-run", is_flag=True, help="Only say what would go, and what stays.")
@json_option
@click.pass_obj
def erase(
    cli: "Cli", numbers: tuple[int, ...], sender: str | None, why: str, withdraw: bool, dry_run: bool, as_json: bool
) -> None:
    """Erase what NUMBERS, or one person's mails, say of persons: bytes, addresses, texts, and what we answered. Rows,
    hashes and numbers stay, so the same mail again is still a duplicate."""
    from triaged import app
    from triaged.workflows import erasure

    if bool(numbers) == bool(sender):
        raise click.UsageError("name mails by number, or a person by --sender ADDRESS")
    wish = erasure.Wish(tuple(dict.fromkeys(numbers)), (sender or "").strip().lower(), withdraw)
    if dry_run:
        plan, left = erasure.plan(app.ready(cli.app).database, wish, cli.app.key), ""
    else:
        plan = erasure.erase(cli.database, wish, cli.app.key, getpass.getuser(), why, datetime.now(UTC))
        left = erasure.scrub(cli.database)
    if as_json:
        print_json({**plan.document(), "left": left or None})
    else:
        _told(plan, left, dry_run)
    if plan.hindrances:
        stop(Exit.PROBLEMS, "nothing can be erased before:\n" + "\n".join(f"- {one}" for one in plan.hindrances))


def _told(plan: "Plan", left: str, dry_run: bool) -> None:
    from triaged.adapters import terminal

    terminal.facts(
        [
            ("mails", plan.mails),
            ("tickets", plan.tickets),
            ("orders", plan.orders),
            ("mails of ours", plan.letters),
            ("mentioned elsewhere", plan.mentions),
            ("stays", plan.kept),
        ],
        "would be erased" if dry_run else "erased",
    )
    if left:
        terminal.say(f"! {left}", "yellow")
    terminal.say("logs, backups and the server's folders are not the daemon's to erase: docs/operator.md, Erasure")


@message.command(hidden=True)
@click.pass_obj
def rehearse(cli: "Cli") -> None:
    """The daemon's own child for mails that it tried in vain: their numbers come on stdin."""
    from triaged import app

    app.rehearse(cli.app, sys.stdin, sys.stdout.buffer)
