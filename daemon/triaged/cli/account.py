"""`triaged account`: the customers' accounts, and what the table says of whatever a mail names."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from triaged.cli import Exit, json_option, print_json, stop
from triaged.cli import directory as commands

if TYPE_CHECKING:
    from triaged.cli import Cli
    from triaged.domain.directory import AccountRecord


@click.group()
def account() -> None:
    """Customers' accounts: list, show, lookup, import, export."""


account.add_command(commands.import_command("account"))
account.add_command(commands.export_command("account"))


@account.command("list")
@click.option("--region")
@click.option("--limit", type=click.IntRange(1), help="Only the first so many; people are shown 200 unless said.")
@json_option
@click.pass_obj
def list_(cli: "Cli", region: str | None, limit: int | None, as_json: bool) -> None:
    """Accounts by ZOID, with the licences that count today."""
    from itertools import islice

    from triaged.adapters import terminal
    from triaged.adapters.db import directory

    with cli.database.read() as session:
        found = (a for a in directory.everything(session, directory.ACCOUNTS) if region in (None, a.region))
        records = list(islice(found, limit if as_json else limit or 200))
        more = not as_json and limit is None and next(found, None) is not None
    if as_json:
        print_json([record.document() for record in records])
        return
    terminal.table(
        ("zoid", "region", "name", "super admin", "domains", "licences", "tier"),
        ((a.zoid, a.region, a.name, a.super_admin, ", ".join(a.domains), *_standing(cli, a).values()) for a in records),
        "no accounts: `triaged account import FILE` brings them in",
    )
    if more:
        click.echo("… and more: --limit or --json shows them", err=True)


@account.command()
@click.argument("zoid")
@click.option("--region", help="Where two regions have the same ZOID.")
@json_option
@click.pass_obj
def show(cli: "Cli", zoid: str, region: str | None, as_json: bool) -> None:
    """One account with its users, its subscriptions and what they come to."""
    from triaged.adapters import terminal
    from triaged.adapters.db import directory

    with cli.database.read() as session:
        records = directory.accounts_by_zoid(session, zoid, region)
    if not records:
        stop(Exit.PROBLEMS, f"there is no account {zoid}: `triaged account lookup` also takes ZUIDs and addresses")
    if len(records) > 1:
        stop(Exit.PROBLEMS, f"{zoid} is in {', '.join(a.region for a in records)}: say which with --region")
    record = records[0]
    document = record.document() | _standing(cli, record)
    if as_json:
        print_json(document)
        return
    lists = {"users": ("zuid", "email"), "subscriptions": ("service", "licences", "status", "starts", "ends")}
    plain = ((key, ", ".join(v) if isinstance(v, list) else v) for key, v in document.items() if key not in lists)
    terminal.facts(plain, record.name)
    for name, columns in lists.items():
        terminal.table(columns, ([item[column] for column in columns] for item in document[name]), f"no {name}")


@account.command()
@click.argument("text", metavar="ADDRESS|DOMAIN|ZOID|ZUID|ZGID")
@json_option
@click.pass_obj
def lookup(cli: "Cli", text: str, as_json: bool) -> None:
    """The accounts that a mail would find by ADDRESS, DOMAIN or id, and by which column."""
    from triaged.adapters import terminal
    from triaged.adapters.db import directory

    with cli.database.read() as session:
        matches = directory.lookup(session, text)
        records = directory.accounts(session, [match.account_id for match in matches])
    found = [
        {"via": match.kind.value, "zoid": match.zoid, "region": match.region, "name": match.name}
        | {"super_admin": records[match.account_id].super_admin, **_standing(cli, records[match.account_id])}
        for match in matches
    ]
    if as_json:
        print_json(found)
    elif found:
        terminal.table(tuple(found[0]), ([*entry.values()] for entry in found))
    if not found:
        stop(Exit.PROBLEMS, f"{text} names no account{_public(cli, text)}")
    if len(found) > 1:
        click.echo("more than one: a mail that says no more than this goes to review", err=True)


def _standing(cli: "Cli", record: "AccountRecord") -> dict[str, Any]:
    """Licences that count today, and the tier that they make."""
    from triaged.domain import entitlement

    policy = cli.settings.policy
    licences = entitlement.count(record.subscriptions, policy, datetime.now(UTC).date()).licences
    region = policy.regions.get(record.region)
    return {"licences": licences, "tier": entitlement.tier(licences, region).value if region else None}


def _public(cli: "Cli", text: str) -> str:
    domain = text.strip().strip("<>").lower().rpartition("@")[2]
    return (
        f" ({domain} is a public mail domain, which never does)"
        if domain in cli.settings.policy.public_mail_domains
        else ""
    )
