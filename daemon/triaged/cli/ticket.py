"""`triaged ticket`: what an associate sees and does (row P12)."""

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from triaged.cli import json_option, print_json

if TYPE_CHECKING:
    from triaged.cli import Cli
    from triaged.domain.decision import Decision


@click.group()
def ticket() -> None:
    """Tickets: list, show, set the customer, accept from review."""


@ticket.command("list")
@click.option("--state", type=click.Choice(["review", "open", "waiting", "resolved", "closed"]))
@click.option("--region")
@click.option("--limit", type=click.IntRange(1), help="Only the newest so many.")
@json_option
@click.pass_obj
def list_(cli: "Cli", state: str | None, region: str | None, limit: int | None, as_json: bool) -> None:
    """Tickets, oldest first."""
    from triaged.adapters import terminal
    from triaged.adapters.db import tickets

    with cli.database.read() as session:
        records = tickets.listed(session, state, region, limit)
    if as_json:
        print_json([record.document() for record in records])
        return
    terminal.table(
        ("number", "state", "severity", "flag", "requester", "account", "due (UTC)", "subject"),
        (
            (
                t.number, t.state, t.severity, "⚑" if t.priority else "", t.requester,
                t.account.name if t.account else None, f"{t.due_acknowledge:%m-%d %H:%M}", t.subject,
            )
            for t in records
        ),
        "no tickets",
    )  # fmt: skip


@ticket.command()
@click.argument("number")
@json_option
@click.pass_obj
def show(cli: "Cli", number: str, as_json: bool) -> None:
    """One ticket with its history and the mails that we owe or sent for it."""
    from triaged.adapters import terminal
    from triaged.adapters.db import outbox, tickets

    with cli.database.read() as session:
        record = tickets.record_of(tickets.row_of(session, number))
        record = tickets.by_number(session, record.number) or record
        events = tickets.history(session, record.id)
        mails = outbox.entries(session, ticket=record.number)
    if as_json:
        history = [
            {
                "at": e.at,
                "actor": e.actor,
                "kind": e.kind,
                "detail": e.detail,
                "policy": e.policy_version,
                "message": e.message,
            }
            for e in events
        ]
        print_json({**record.document(), "events": history, "mails": [mail.document() for mail in mails]})
        return
    document = record.document()
    due = document.pop("due")
    evidence = ", ".join(f"{r.kind} {r.value} ({r.where})" for r in record.evidence)
    pairs = [*document.items(), *((f"due {name}", f"{when:%Y-%m-%d %H:%M} UTC") for name, when in due.items())]
    terminal.facts([*pairs, ("evidence", evidence)], record.number)
    terminal.table(
        ("when (UTC)", "who", "what", "detail"),
        ((f"{e.at:%Y-%m-%d %H:%M:%S}", e.actor, e.kind, _told(e.detail)) for e in events),
    )
    terminal.table(
        ("mail", "notice", "to", "state"), ((m.id, m.notice, m.recipient, m.state) for m in mails), "no mails owed"
    )


def _told(detail: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in detail.items() if value not in (None, ""))


@ticket.command("set-customer")
@click.argument("number")
@click.argument("address")
@json_option
@click.pass_obj
def set_customer(cli: "Cli", number: str, address: str, as_json: bool) -> None:
    """Fill the "primary customer e-mail" field of NUMBER: the ticket is classified again, and its partner told."""
    from triaged import app
    from triaged.workflows import associate

    decision = associate.set_customer(app.bureau(cli.app, _actor()), number, address.strip().lower(), _now())
    _tell(decision, as_json)


@ticket.command()
@click.argument("number")
@json_option
@click.pass_obj
def accept(cli: "Cli", number: str, as_json: bool) -> None:
    """Take NUMBER out of review: you vouch for its sender."""
    from triaged import app
    from triaged.workflows import associate

    _tell(associate.accept(app.bureau(cli.app, _actor()), number, _now()), as_json)


@ticket.command()
@click.argument("number")
@click.argument("text")
@click.pass_obj
def note(cli: "Cli", number: str, text: str) -> None:
    """A word for colleagues in the ticket's history; the partner never sees it."""
    from triaged import app
    from triaged.workflows import associate

    associate.note(app.bureau(cli.app, _actor()), number, text, _now())
    click.echo(f"{number}: noted")


@ticket.command()
@click.argument("number")
@click.argument("text")
@click.pass_obj
def determine(cli: "Cli", number: str, text: str) -> None:
    """The problem of NUMBER is determined: say in a sentence what it is; it goes into the history."""
    from triaged import app
    from triaged.workflows import associate

    associate.determine(app.bureau(cli.app, _actor()), number, text, _now())
    click.echo(f"{number}: determined")


def _move(state: str, help_text: str) -> click.Command:
    @click.argument("number")
    @click.option("--why", default="", help="Goes into the history.")
    @click.pass_obj
    def run(cli: "Cli", number: str, why: str) -> None:
        from triaged import app
        from triaged.domain.ticket import State
        from triaged.workflows import associate

        associate.move(app.bureau(cli.app, _actor()), number, State(state), why, _now())
        click.echo(f"{number}: {state}")

    return click.command(help=help_text)(run)


ticket.add_command(_move("resolved", "The problem of NUMBER is solved."), "resolve")
ticket.add_command(_move("closed", "Close NUMBER for good: a later mail opens a new ticket, linked to it."), "close")
ticket.add_command(_move("open", "Take NUMBER up again."), "reopen")


def _tell(decision: "Decision", as_json: bool) -> None:
    if as_json:
        print_json(decision.document())
        return
    if decision.desk == "contracts":
        _tell_contracts(decision)
        return
    account = f"{decision.account.name}, {decision.licences} licences" if decision.account else "no account"
    flag = " ⚑ priority customer – large-user account" if decision.priority else ""
    click.echo(f"{decision.ticket}: {account}: {decision.severity} ({decision.why}){flag}")
    for notice in decision.notices:
        click.echo(f"  owed: {notice.name} to {', '.join(notice.to)}")


def _tell_contracts(decision: "Decision") -> None:
    """What the contracts desk did once somebody vouched for the sender."""
    about = ", ".join(filter(None, (decision.order, *decision.contracts)))
    refused = f", refused: {decision.refused}" if decision.refused else ""
    click.echo(f"{decision.ticket}: {decision.why}{refused}{f' ({about})' if about else ''}")
    for notice in decision.notices:
        click.echo(f"  owed: {notice.name} to {', '.join(notice.to)}")


def _actor() -> str:
    return getpass.getuser()


def _now() -> datetime:
    return datetime.now(UTC)
