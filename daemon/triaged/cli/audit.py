"""`triaged audit`: the proof that nothing was lost."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from triaged.cli import Exit, json_option, print_json

if TYPE_CHECKING:
    from triaged.cli import Cli

_UNITS = {"h": 1, "d": 24}


def _span(_context: click.Context, _parameter: click.Parameter, text: str) -> timedelta:
    """`12h`, `7d`."""
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdigit() or len(number) > 6:
        raise click.BadParameter("a number and h or d, as 12h or 7d")
    return timedelta(hours=int(number) * _UNITS[unit])


@click.command()
@click.option("--offline", is_flag=True, help="Ask no server: compare the tables with each other.")
@click.option("--deep", is_flag=True, help="Verify the stored bytes of every mail, not only tonight's share.")
@click.option("--since", default="7d", show_default=True, callback=_span, help="How far back to look at the archive.")
@json_option
@click.pass_obj
def audit(cli: "Cli", offline: bool, deep: bool, since: timedelta, as_json: bool) -> None:
    """Every mail on the servers has its row, every row its decision, every mail owed is in the queue: or say which not.

    Changes nothing, and a daemon may work meanwhile. Exit 1: there are differences; 4: a server was out of reach."""
    from triaged.adapters import terminal
    from triaged.workflows import audit as story

    database, settings = cli.database, cli.settings
    audited = story.audit(
        database, settings, lambda: datetime.now(UTC), story.Depth(offline=offline, deep=deep, since=since)
    )
    document = audited.document()
    if as_json:
        print_json(document)
    else:
        columns = ("check", "looked at", "differences")
        terminal.table(columns, [(c["name"], c["looked_at"], c["differences"]) for c in document["checks"]])
        for fact, number in audited.facts.items():
            terminal.say(f"{number} {fact}", "dim")
        for one in audited.differences:
            terminal.checked("FAIL", one.check, one.text, one.fix)
        if audited.clean:
            terminal.say("nothing is lost, nothing stands still", "green")
    if audited.unreachable and not as_json:
        click.echo("\n".join(f"not looked at: {reason}" for reason in audited.unreachable), err=True)
    if audited.differences:
        raise SystemExit(int(Exit.PROBLEMS))
    if audited.unreachable:
        raise SystemExit(int(Exit.UNREACHABLE))
