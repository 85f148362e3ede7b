"""`triaged order`: purchase orders of service contracts (rows C1, C2)."""

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from triaged.cli import Exit, json_option, print_json, stop

if TYPE_CHECKING:
    from triaged.cli import Cli
    from triaged.workflows.contracting import Outcome

_STATES = ["accepted", "incomplete", "conflict", "review", "rejected"]


@click.group()
def order() -> None:
    """Purchase orders: list, show, accept from review, reject, import."""


@order.command("list")
@click.option("--state", type=click.Choice(_STATES))
@click.option("--limit", type=click.IntRange(1), default=1000, help="Only the newest so many.")
@json_option
@click.pass_obj
def list_(cli: "Cli", state: str | None, limit: int, as_json: bool) -> None:
    """Orders, oldest first."""
    from triaged.adapters import terminal
    from triaged.adapters.db import orders

    with cli.database.read() as session:
        records = orders.listed(session, state or "", limit)
    if as_json:
        print_json([record.document() for record in records])
        return
    terminal.table(
        ("number", "state", "PO number", "placed by", "received (UTC)", "problems"),
        (
            (
                o.number, o.state, o.po_number, o.placed_by, f"{o.received_at:%Y-%m-%d %H:%M}",
                ", ".join(f"{p['field']} {p['code']}" for p in o.problems),
            )
            for o in records
        ),
        "no orders",
    )  # fmt: skip


@order.command()
@click.argument("number")
@json_option
@click.pass_obj
def show(cli: "Cli", number: str, as_json: bool) -> None:
    """One order as it was written, what is wrong with it, its contracts."""
    from triaged.adapters import terminal
    from triaged.adapters.db import contracts, orders

    with cli.database.read() as session:
        row = orders.numbered(session, number)
        record = orders.record(row) if row else None
        made = contracts.of_order(session, record.id) if record else []
    if record is None:
        stop(Exit.PROBLEMS, f"there is no order {number}: `triaged order list` shows them")
    if as_json:
        print_json({**record.details(), "contracts": [one.number for one in made]})
        return
    draft = record.draft
    parties = [(role, getattr(draft, role)) for role in ("customer", "reseller", "distributor")]
    lines = ", ".join(f"{line.licences or '?'} × {line.sku or '?'}" for line in draft.lines)
    terminal.facts(
        [
            *record.document().items(),
            ("positions", lines),
            *((role, f"{p.name or '?'} · {p.email or '?'} · {p.address or '?'}") for role, p in parties),
            ("contracts", ", ".join(one.number for one in made)),
            ("decided by", record.decided_by),
            ("note", record.note),
        ],
        record.number,
    )
    terminal.table(
        ("field", "what is wrong", "found"),
        ((p["field"], p["code"], p["value"]) for p in (*record.problems, *record.warnings)),
        "nothing is wrong with it",
    )


@order.command()
@click.argument("number")
@json_option
@click.pass_obj
def accept(cli: "Cli", number: str, as_json: bool) -> None:
    """Take NUMBER out of review: you vouch for its sender, and it is placed."""
    from triaged import app
    from triaged.workflows import contracting

    tell([contracting.accept(app.bureau(cli.app, actor()), number, now())], as_json)


@order.command()
@click.argument("number")
@click.option("--why", default="", help="Kept with the order; its sender hears nothing.")
@json_option
@click.pass_obj
def reject(cli: "Cli", number: str, why: str, as_json: bool) -> None:
    """Nobody will carry NUMBER out; its sender hears nothing."""
    from triaged import app
    from triaged.workflows import contracting

    tell([contracting.reject(app.bureau(cli.app, actor()), number, why, now())], as_json)


@order.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--placed-by", required=True, help="The registered partner who placed them: its name, or an address of it."
)
@click.option("--dry-run", is_flag=True, help="Read and judge the file; store and send nothing.")
@json_option
@click.pass_obj
def import_(cli: "Cli", file: Path, placed_by: str, dry_run: bool, as_json: bool) -> None:
    """Place the orders of FILE: .csv and .xlsx (one row per position), labelled text, HTML, or a mail (.eml)."""
    from triaged import app
    from triaged.workflows import contracting

    drafts = app.orders_in(cli.app, file)
    if not drafts:
        stop(
            Exit.PROBLEMS,
            f"{file}: no order found. Its first row names the columns, like `PO number`, `SKU`, `Licences`",
        )
    outcomes = contracting.place(app.bureau(cli.app, actor()), drafts, placed_by, now(), dry_run=dry_run)
    tell(outcomes, as_json)
    broken = sum(1 for outcome in outcomes if outcome.problems)
    if not as_json:
        done = "judged, nothing stored" if dry_run else "placed"
        click.echo(
            f"{broken} of {len(outcomes)} orders have problems: nothing was done"
            if broken
            else f"{len(outcomes)} {done}"
        )
    if broken:
        raise SystemExit(int(Exit.PROBLEMS))


def tell(outcomes: "list[Outcome] | tuple[Outcome, ...]", as_json: bool) -> None:
    """What was done, one paragraph each; in JSON one document, or a list of several."""
    if as_json:
        documents = [outcome.document() for outcome in outcomes]
        print_json(documents[0] if len(documents) == 1 else documents)
        return
    for outcome in outcomes:
        made = [number for number in outcome.contracts if number != outcome.number]
        about = f" → {', '.join(made)}" if made else ""
        named = f" (PO {outcome.po_number})" if outcome.po_number else ""
        click.echo(f"{outcome.number or 'order'}{named}: {outcome.state}{about}")
        for problem in outcome.problems:
            click.echo(f"  problem: {problem.field} {problem.code}" + (f": {problem.value}" if problem.value else ""))
        for notice in outcome.notices:
            click.echo(f"  owed: {notice.name} to {', '.join(notice.to)}")


def actor() -> str:
    return getpass.getuser()


def now() -> datetime:
    return datetime.now(UTC)
