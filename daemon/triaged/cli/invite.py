"""`triaged invite`: personal invitations to the portal (rows C4, C5, C7)."""

from typing import TYPE_CHECKING

import click

from triaged.cli import ROW, Exit, json_option, print_json, stop
from triaged.cli.contract import moment
from triaged.cli.order import actor, now

if TYPE_CHECKING:
    from triaged.adapters.db.invitations import InvitationRecord
    from triaged.cli import Cli


@click.group()
def invite() -> None:
    """Invitations to the portal: list, show, resend, revoke."""


@invite.command("list")
@click.option("--state", type=click.Choice(["owed", "sent", "accepted", "expired", "revoked", "replaced"]))
@json_option
@click.pass_obj
def list_(cli: "Cli", state: str | None, as_json: bool) -> None:
    """Invitations, oldest first; a resend is a row of its own."""
    from triaged.adapters import terminal
    from triaged.adapters.db import invitations, outbox

    with cli.database.read() as session:
        records = [one for one in invitations.listed(session) if not state or one.state == state]
        mails = outbox.sealed_states(session, [invitations.seal(one.id) for one in records])
    documents = [{**one.document(), "mail": mails.get(invitations.seal(one.id))} for one in records]
    if as_json:
        print_json(documents)
        return
    terminal.table(
        ("id", "state", "mail", "recipient", "contract", "access", "sent (UTC)", "expires (UTC)"),
        (
            (
                d["id"],
                d["state"],
                d["mail"],
                d["recipient"],
                d["contract"],
                d["access"],
                moment(d["sent_at"]),
                moment(d["expires_at"]),
            )
            for d in documents
        ),
        "nobody was invited",
    )


@invite.command()
@click.argument("number", type=ROW)
@json_option
@click.pass_obj
def show(cli: "Cli", number: int, as_json: bool) -> None:
    """One invitation. Its link is nowhere kept, so it cannot be shown: `resend` makes a new one."""
    from triaged.adapters.db import invitations

    with cli.database.read() as session:
        record = invitations.record(session, number)
    if record is None:
        stop(Exit.PROBLEMS, f"there is no invitation {number}: `triaged invite list` shows them")
    _tell(record, as_json)


@invite.command()
@click.argument("number", type=ROW)
@json_option
@click.pass_obj
def resend(cli: "Cli", number: int, as_json: bool) -> None:
    """Send invitation NUMBER again, with a new link; the earlier one says which mail replaced it."""
    from triaged import app
    from triaged.workflows import contracting

    _tell(contracting.resend(app.bureau(cli.app, actor()), number, now()), as_json)


@invite.command()
@click.argument("number", type=ROW)
@click.option("--why", default="", help="Kept with the invitation.")
@json_option
@click.pass_obj
def revoke(cli: "Cli", number: int, why: str, as_json: bool) -> None:
    """The link of invitation NUMBER stops working at once."""
    from triaged import app
    from triaged.workflows import contracting

    _tell(contracting.revoke(app.bureau(cli.app, actor()), number, why, now()), as_json)


def _tell(record: "InvitationRecord", as_json: bool) -> None:
    from triaged.adapters import terminal

    if as_json:
        print_json(record.document())
    else:
        terminal.facts(record.document().items(), f"invitation {record.id}")
