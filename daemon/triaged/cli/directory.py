"""`import` and `export`, the same for accounts, partners and customers (INTERFACE §2)."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import click

from triaged.cli import Exit, json_option, print_json, stop

if TYPE_CHECKING:
    from triaged.adapters.directory_file import Problem, Reading, Rules
    from triaged.cli import Cli
    from triaged.domain.directory import Diff

_SHOWN = 20  # entries of each kind that a person is shown of a diff; --json has all


@dataclass(frozen=True, slots=True)
class Doors:
    """Where one kind of entry is read, written and taken from; opened late, so that the help needs no import."""

    read: "Callable[[bytes, Rules], Reading[Any]]"
    write: "Callable[..., Diff]"
    shape: Any


def doors(noun: str) -> Doors:
    from functools import partial

    from triaged.adapters import directory_file, territories
    from triaged.adapters.db import directory, directory_import

    if noun == "account":
        return Doors(directory_file.read_accounts, directory_import.import_accounts, directory.ACCOUNTS)
    if noun == "customer":
        write = partial(directory_import.import_customers, country_of=territories.code_of)
        return Doors(directory_file.read_customers, write, directory.CUSTOMERS)
    return Doors(directory_file.read_partners, directory_import.import_partners, directory.PARTNERS)


def import_command(noun: str) -> click.Command:
    """`NOUN import FILE`: all of it or nothing."""

    @click.command("import", help=_IMPORT_HELP.format(noun=noun))
    @click.argument("file")
    @click.option("--replace", is_flag=True, help=f"Also remove every {noun} that FILE does not have.")
    @click.option("--force", is_flag=True, help="With --replace: even if more than half would go.")
    @click.option("--dry-run", is_flag=True, help="Only say what would change.")
    @json_option
    @click.pass_obj
    def run(cli: "Cli", file: str, replace: bool, force: bool, dry_run: bool, as_json: bool) -> None:
        from triaged.adapters.db import engine

        door = doors(noun)
        reading = door.read(_content(cli, noun, file), rules(cli))
        if reading.problems:
            _refuse(file, reading.problems, as_json)
        with cli.database.read() if dry_run else cli.database.write(engine.IMPORTING) as session:
            diff = door.write(session, reading.records, replace=replace, dry_run=dry_run)
            if diff.removes_most and not (force or dry_run):
                stop(Exit.PROBLEMS, _too_few(noun, file, diff))
        _tell(diff, dry_run, as_json)
        _warn(cli, noun, file)

    return run


_IMPORT_HELP = """Add and change {noun}s from FILE: JSON array, JSON Lines or CSV. `-` is stdin; an https:// address is
fetched.

All of it or nothing: a file with problems changes nothing, and every problem is named."""


def export_command(noun: str) -> click.Command:
    """`NOUN export`: what `import` would read back unchanged."""

    @click.command("export", help=f"Every {noun} as a JSON array, one a line, as `{noun} import` reads it.")
    @click.option("-o", "--output", type=click.File("w", "utf-8", atomic=True), default="-", help="Else stdout.")
    @click.option("--json", is_flag=True, expose_value=False, help="It always is.")
    @click.pass_obj
    def run(cli: "Cli", output: IO[str]) -> None:
        import json

        from triaged.adapters.db import directory

        before = "[\n"
        with cli.database.read() as session:
            for record in directory.everything(session, doors(noun).shape):
                output.write(before + json.dumps(record.document(), ensure_ascii=False))
                before = ",\n"
        output.write("[]\n" if before == "[\n" else "\n]\n")

    return run


def rules(cli: "Cli") -> "Rules":
    """What the configuration says of entries."""
    from triaged.adapters import directory_file, territories

    policy = cli.settings.policy
    return directory_file.Rules(policy.regions, policy.public_mail_domains, territories.codes())


def _content(cli: "Cli", noun: str, file: str) -> bytes:
    """The bytes of FILE; the token is for the configured address alone."""
    from triaged.adapters import source

    if file == "-":
        return sys.stdin.buffer.read()
    token = cli.settings.directory.token.reveal() if file == _watched(cli, noun) else ""
    return source.read(file, token).data


def _watched(cli: "Cli", noun: str) -> str:
    """The source that `[directory]` watches for these entries; customers have none."""
    return str(getattr(cli.settings.directory, f"{noun}s", "") or "")


def _refuse(file: str, problems: "Sequence[Problem]", as_json: bool) -> None:
    from dataclasses import asdict

    from triaged.adapters import directory_file

    if as_json:
        print_json({"problems": [asdict(problem) for problem in problems]})
    stop(Exit.PROBLEMS, directory_file.told(file, problems))


def _too_few(noun: str, file: str, diff: "Diff") -> str:
    return (
        f"{file} lacks {len(diff.removed):,} of the {diff.before:,} {noun}s that we have: nothing was changed. "
        "If that is right, say --force"
    )


def _tell(diff: "Diff", dry_run: bool, as_json: bool) -> None:
    from triaged import log

    if as_json:
        print_json(diff.document())
        return
    changed = [
        f"{change.key}: " + ", ".join(f"{f.field} {_short(f.old)} → {_short(f.new)}" for f in change.fields)
        for change in diff.changed
    ]
    for mark, lines in (("+", diff.added), ("~", changed), ("-", diff.removed)):
        for line in lines[:_SHOWN]:
            click.echo(f"{mark} {log.escape(line)}")
        if len(lines) > _SHOWN:
            click.echo(f"{mark} … and {len(lines) - _SHOWN:,} more (--json has all)")
    numbers = f"{len(diff.added):,} added, {len(changed):,} changed, {len(diff.removed):,} removed"
    click.echo(f"{numbers}, {diff.unchanged:,} unchanged" + (" (dry run: nothing was done)" if dry_run else ""))


def _short(value: object) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else text[:79] + "…"


def _warn(cli: "Cli", noun: str, file: str) -> None:
    """What is allowed and yet rather not meant."""
    from triaged import log
    from triaged.adapters.db import directory

    watched = _watched(cli, noun)
    if watched and watched != file:
        click.echo(f"warning: {watched} is watched ([directory] {noun}s): its next change replaces this", err=True)
    if noun == "customer":
        return  # they name no partners
    with cli.database.read() as session:
        names = directory.unregistered_partners(session)
    if names:
        told = ", ".join(log.escape(name) for name in names[:_SHOWN])
        click.echo(
            f"warning: accounts name partners that are not registered, whose mails wait in review: {told}", err=True
        )
