"""`triaged explain`: the whole decision on one mail file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from triaged.cli import json_option, print_json

if TYPE_CHECKING:
    from triaged.cli import Cli


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mailbox", help="The mailbox it would have come to; default: the one it is addressed to, else the first."
)
@click.option("--mails", is_flag=True, help="Also show the mails that would go, in full.")
@json_option
@click.pass_obj
def explain(cli: "Cli", file: Path, mailbox: str | None, mails: bool, as_json: bool) -> None:
    """The whole decision on FILE (.eml), as the daemon would take it; nothing is stored, nothing sent."""
    from triaged import app
    from triaged.adapters import terminal

    known = [one.name for one in cli.settings.mailboxes]
    if mailbox and mailbox not in known:
        raise click.BadParameter(f"{mailbox!r} is none of {', '.join(known)}", param_hint="--mailbox")
    explained = app.explain(cli.app, file.read_bytes(), mailbox)
    receipt = explained.decision.document()
    if as_json:
        print_json(receipt)
        return
    terminal.marked(explained.message, explained.decision.evidence)
    terminal.decision(receipt, file.name)
    terminal.steps(receipt)
    for recipients, letter in explained.letters if mails else ():
        terminal.mail(letter.subject, [("to", ", ".join(recipients))], letter.text)
