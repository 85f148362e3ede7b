"""`triaged contract`: service contracts (rows C3, C8, C10)."""

from typing import IO, TYPE_CHECKING

import click

from triaged.cli import json_option, print_json
from triaged.cli.order import actor, now, tell

if TYPE_CHECKING:
    from triaged.cli import Cli


_COLUMNS = (
    "number", "state", "service", "sku", "years", "licences", "starts", "ends", "customer", "site", "customer_email",
    "reseller", "distributor", "po_number", "placed_by", "country", "purchased_at", "cancellable_until", "cancelled_at",
)  # fmt: skip


@click.group()
def contract() -> None:
    """Service contracts: list, show, mend the customer's address, cancel, restore, export."""


@contract.command("list")
@click.option("--state", type=click.Choice(["active", "cancelled", "expired"]))
@json_option
@click.pass_obj
def list_(cli: "Cli", state: str | None, as_json: bool) -> None:
    """Contracts, oldest first."""
    from triaged.adapters import terminal
    from triaged.adapters.db import contracts

    with cli.database.read() as session:
        records = contracts.listed(session, state=state or "")
    if as_json:
        print_json([record.document() for record in records])
        return
    terminal.table(
        ("number", "state", "service", "licences", "customer", "from", "to", "PO number", "cancellable until"),
        (
            (c.number, c.state, c.service, c.licences, c.customer, c.starts, c.ends, c.po_number, c.cancellable_until)
            for c in records
        ),
        "no contracts",
    )


@contract.command()
@click.argument("number")
@json_option
@click.pass_obj
def show(cli: "Cli", number: str, as_json: bool) -> None:
    """One contract with its parties, its invitations and the mails that we owe or sent about it."""
    from triaged.adapters import terminal
    from triaged.adapters.db import contracts, invitations, outbox

    with cli.database.read() as session:
        record = contracts.record(session, contracts.numbered(session, number))
        invited = invitations.listed(session, record.id)
        mails = outbox.entries(session, contract=record.id)
    document = record.document()
    if as_json:
        more = {"invitations": [one.document() for one in invited], "mails": [mail.document() for mail in mails]}
        print_json({**document, **more})
        return
    terminal.facts(document.items(), record.number)
    terminal.table(
        ("invitation", "recipient", "access", "state", "sent (UTC)", "expires (UTC)"),
        ((i.id, i.recipient, i.access, i.state, moment(i.sent_at), moment(i.expires_at)) for i in invited),
        "nobody was invited",
    )
    terminal.table(
        ("mail", "notice", "to", "state"), ((m.id, m.notice, m.recipient, m.state) for m in mails), "no mails owed"
    )


@contract.command("set-customer-email")
@click.argument("number")
@click.argument("address")
@json_option
@click.pass_obj
def set_customer_email(cli: "Cli", number: str, address: str, as_json: bool) -> None:
    """Mend a typing error: the old link is revoked, both addresses are told, ADDRESS is invited."""
    from triaged import app
    from triaged.workflows import contracting

    tell([contracting.set_customer_email(app.bureau(cli.app, actor()), number, address, now())], as_json)


@contract.command()
@click.argument("number")
@click.option("--late", is_flag=True, help="After its last day too.")
@json_option
@click.pass_obj
def cancel(cli: "Cli", number: str, late: bool, as_json: bool) -> None:
    """Cancel NUMBER: licences and spares go back, all parties are told; it can be undone for 24 h."""
    from triaged import app
    from triaged.workflows import contracting

    tell([contracting.cancel(app.bureau(cli.app, actor()), number, now(), late=late)], as_json)


@contract.command()
@click.argument("number")
@json_option
@click.pass_obj
def restore(cli: "Cli", number: str, as_json: bool) -> None:
    """Take the cancellation of NUMBER back, within 24 h."""
    from triaged import app
    from triaged.workflows import contracting

    tell([contracting.restore(app.bureau(cli.app, actor()), number, now())], as_json)


@contract.command("export")
@click.option("-o", "--output", type=click.File("w", "utf-8", atomic=True), default="-", help="Else stdout.")
@click.pass_obj
def export(cli: "Cli", output: IO[str]) -> None:
    """Every contract as CSV."""
    from triaged.adapters import csv_file
    from triaged.adapters.db import contracts

    with cli.database.read() as session:
        documents = [record.document() for record in contracts.listed(session)]
    csv_file.write(output, _COLUMNS, documents)


def moment(value: object) -> str:
    return f"{value:%Y-%m-%d %H:%M}" if value else ""
