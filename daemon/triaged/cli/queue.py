"""`triaged queue`: the mails that we owe."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from triaged.cli import ROW, Exit, json_option, print_json, stop

if TYPE_CHECKING:
    from triaged.cli import Cli

_STATES = ["queued", "sending", "sent", "uncertain", "failed", "held", "withdrawn"]


@click.group()
def queue() -> None:
    """Mails we owe: list, show, retry, hold, release, withdraw."""


@queue.command("list")
@click.option("--state", "states", type=click.Choice(_STATES), multiple=True)
@click.option("--limit", type=click.IntRange(1), default=1_000_000, help="Only the newest so many.")
@json_option
@click.pass_obj
def list_(cli: "Cli", states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Mails owed and sent, oldest first."""
    from triaged.adapters import terminal
    from triaged.adapters.db import outbox
    from triaged.domain.delivery import State

    with cli.database.read() as session:
        entries = outbox.entries(session, tuple(State(s) for s in states) or tuple(State), limit=limit)
    if as_json:
        print_json([entry.document() for entry in entries])
        return
    terminal.table(
        ("id", "state", "notice", "to", "ticket", "attempts", "due (UTC)", "last error"),
        (
            (e.id, e.state, e.notice, e.recipient, e.ticket, e.attempts, f"{e.due_at:%m-%d %H:%M}", e.last_error)
            for e in entries
        ),
        "we owe nothing",
    )


@queue.command()
@click.argument("number", type=ROW)
@click.option("--raw", is_flag=True, help="The finished bytes of the mail, to stdout.")
@json_option
@click.pass_obj
def show(cli: "Cli", number: int, raw: bool, as_json: bool) -> None:
    """One mail that we owe or sent."""
    from triaged.adapters import terminal
    from triaged.adapters.db import outbox

    with cli.database.read() as session:
        entry, body = outbox.entry(session, number), outbox.body(session, number)
    if entry is None:
        stop(Exit.PROBLEMS, f"there is no mail {number} in the queue: `triaged queue list` shows them")
    if raw:
        if body is None:
            why = "made when it is sent; nothing is kept" if entry.seal else "its bytes were purged"
            stop(Exit.PROBLEMS, f"mail {number}: {why}")
        sys.stdout.buffer.write(body)
    elif as_json:
        print_json(entry.document())
    else:
        terminal.facts(entry.document().items(), f"mail {number}")


def _change(
    name: str, help_text: str, done: str, change: Callable[..., tuple[int, ...]], *, many: bool = False
) -> None:
    """`many`: also for all that a restored backup holds, or all held ones to one address."""

    @click.argument("numbers", type=ROW, nargs=-1, required=not many)
    @click.pass_obj
    def run(cli: "Cli", numbers: tuple[int, ...], restored: bool = False, to: str = "") -> None:
        from triaged.adapters.db import brakes, installation

        if [bool(numbers), restored, bool(to)].count(True) != 1:
            raise click.UsageError("give numbers" + (", or --restored, or --to" if many else ""))
        with cli.database.write() as session:
            if not numbers:
                numbers = installation.waiting(session) if restored else brakes.waiting(session, to)
            changed = change(session, numbers)
        if not numbers:
            click.echo("nothing is held " + (f"to {to}" if to else "since a restore"))
        for number in numbers:
            click.echo(f"mail {number}: {done if number in changed else 'left as it is, see `triaged queue show`'}")
        if set(numbers) - set(changed):
            raise SystemExit(int(Exit.PROBLEMS))

    if many:
        run = click.option("--restored", is_flag=True, help="All mails that are held since a backup was restored.")(run)
        run = click.option("--to", metavar="ADDRESS", default="", help="All mails to this address that are held.")(run)
    queue.add_command(click.command(help=help_text)(run), name)


def _retry(session: object, numbers: tuple[int, ...]) -> tuple[int, ...]:
    from triaged.adapters.db import outbox

    return outbox.retry(session, numbers, datetime.now(UTC))  # type: ignore[arg-type]  # imported late, typed there


def _hold(session: object, numbers: tuple[int, ...]) -> tuple[int, ...]:
    from triaged.adapters.db import outbox

    return outbox.hold(session, numbers, f"held by {click.get_current_context().command.name}")  # type: ignore[arg-type]  # same


def _release(session: object, numbers: tuple[int, ...]) -> tuple[int, ...]:
    from triaged.adapters.db import outbox

    return outbox.release(session, numbers, datetime.now(UTC))  # type: ignore[arg-type]  # same


def _withdraw(session: object, numbers: tuple[int, ...]) -> tuple[int, ...]:
    from triaged.adapters.db import outbox

    return outbox.withdraw(session, numbers, "withdrawn by hand")  # type: ignore[arg-type]  # same


_change("retry", "Send failed, uncertain or waiting mails now.", "will be sent now", _retry)
_change("hold", "Keep mails back until they are released.", "held", _hold)
_change("release", "Let held mails go.", "released", _release, many=True)
_change("withdraw", "Never send mails that have not gone yet.", "withdrawn", _withdraw, many=True)
