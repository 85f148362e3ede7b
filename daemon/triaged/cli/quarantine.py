"""`triaged quarantine`: mails that could not be read or decided; their bytes are intact."""

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from triaged.cli import ROW, Exit, json_option, print_json

if TYPE_CHECKING:
    from triaged.cli import Cli
    from triaged.workflows.quarantine import Handled

_NUMBERS = click.argument("numbers", type=ROW, nargs=-1)


@click.group()
def quarantine() -> None:
    """Mails that could not be read: list, show, release, drop."""


@quarantine.command("list")
@json_option
@click.pass_obj
def list_(cli: "Cli", as_json: bool) -> None:
    """What lies in quarantine, oldest first."""
    from triaged.adapters import terminal
    from triaged.workflows import quarantine as workflow

    rows = workflow.listed(cli.database)
    if as_json:
        print_json(rows)
        return
    terminal.table(
        ("id", "arrived (UTC)", "mailbox", "from", "size", "tries", "reason", "error"),
        (
            (
                row["id"],
                f"{row['received_at']:%Y-%m-%d %H:%M}",
                row["mailbox"],
                row["from"],
                row["size"],
                row["attempts"],
                row["reason"],
                row["error"],
            )
            for row in rows
        ),
        "quarantine is empty",
    )


@quarantine.command()
@click.argument("number", type=ROW)
@json_option
@click.pass_obj
def show(cli: "Cli", number: int, as_json: bool) -> None:
    """One mail in quarantine: why, where it lies, its header and the start of its text, safe to look at."""
    from triaged.adapters import terminal
    from triaged.workflows import quarantine as workflow

    found = workflow.shown(cli.database, cli.settings.mailboxes, number)
    if as_json:
        print_json(found)
        return
    place = found["place"]
    folder = place["folder"] or "unknown: the mailbox is configured no more"
    terminal.facts(
        [
            ("error", found["error"]),
            ("reason", found["reason"]),
            ("from", found["from"]),
            ("arrived", found["received_at"]),
            ("tries", found["attempts"]),
            ("size", found["size"]),
            ("came to", f"{place['mailbox']}, UIDVALIDITY {place['uidvalidity']}, UID {place['uid']}"),
            ("lies in", f"{folder} since {place['since']:%Y-%m-%d %H:%M} UTC" if place["since"] else folder),
            *(
                ("earlier", f"{one['did']} by {one['by']} at {one['at']:%Y-%m-%d %H:%M} UTC")
                for one in found["handled"]
            ),
        ],
        f"message {number}",
    )
    if found["header"] is not None:
        terminal.mail("header", [], found["header"])
        terminal.mail("start of the text", [], found["text"])
    for step in found["next"]:
        terminal.say(f"→ {step}")


@quarantine.command()
@_NUMBERS
@click.option("--all", "everything", is_flag=True, help="All that lie there whole.")
@click.pass_obj
def release(cli: "Cli", numbers: tuple[int, ...], everything: bool) -> None:
    """Let the daemon decide NUMBERS again, with today's code and policy, each alone."""
    from triaged.workflows import quarantine as workflow

    _told(
        workflow.release(cli.database, _chosen(numbers, everything), getpass.getuser(), datetime.now(UTC)),
        "will be decided again by the daemon, or by `triaged run --once`",
    )


@quarantine.command()
@_NUMBERS
@click.option("--all", "everything", is_flag=True, help="All that lie there.")
@click.option("--why", required=True, help="The reason; the ledger keeps it.")
@click.pass_obj
def drop(cli: "Cli", numbers: tuple[int, ...], everything: bool, why: str) -> None:
    """Nobody needs NUMBERS: they stay in the ledger as dropped, with the reason."""
    from triaged.workflows import quarantine as workflow

    chosen = _chosen(numbers, everything)
    _told(workflow.drop(cli.database, chosen, getpass.getuser(), why, datetime.now(UTC)), "dropped")


def _chosen(numbers: tuple[int, ...], everything: bool) -> tuple[int, ...]:
    if bool(numbers) == everything:
        raise click.UsageError("name mails by number, or --all")
    return tuple(dict.fromkeys(numbers))


def _told(handled: "Sequence[Handled]", done: str) -> None:
    for one in handled:
        click.echo(f"message {one.id}: {done}" if not one.refusal else one.refusal, err=bool(one.refusal))
    if any(one.refusal for one in handled):
        raise SystemExit(int(Exit.PROBLEMS))
    if not handled:
        click.echo("quarantine is empty")
