"""What `room`, `device` and `spares` share: who acts, values on the command line, `import` and `export` as CSV."""

import getpass
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

import click

from triaged.cli import Exit, json_option, print_json, stop

if TYPE_CHECKING:
    from triaged.cli import Cli
    from triaged.desks.bureau import Bureau
    from triaged.domain.estate_records import Outcome, Problem
    from triaged.domain.notices import Notice
    from triaged.workflows.estate_import import Import

_SHOWN = 20  # entries of each kind that a person is shown of an import; --json has all


def now() -> datetime:
    return datetime.now(UTC)


def bureau(cli: "Cli") -> "Bureau":
    """Where the commands that change something act."""
    from triaged import app

    return app.bureau(cli.app, getpass.getuser())


def job(cli: "Cli", *, dry_run: bool = False, fresh: bool = False) -> "Import":
    from triaged.workflows import estate_import

    return estate_import.Import(cli.database, cli.settings.catalogue, getpass.getuser(), now(), dry_run, fresh)


def tell_owed(notices: "Sequence[Notice]") -> None:
    for notice in notices:
        click.echo(f"  owed: {notice.name} to {', '.join(notice.to)}")


# Values


class Checked(click.ParamType[Any]):
    """A value as the files read it (`estate_file.day`, …): a wrong one is a usage error with the same fix."""

    def __init__(self, name: str) -> None:
        self.name = name

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from triaged.adapters import estate_file

        if not isinstance(value, str) or (not value and param is not None and not param.required):
            return value
        try:
            return getattr(estate_file, self.name)(value)
        except ValueError as error:
            return self.fail(f"{value}: {error}", param, ctx)


DAY, COUNTRY, SERIAL, TEXT = Checked("day"), Checked("country"), Checked("serial"), Checked("text")


def customer_option(required: bool = False) -> Callable[..., Any]:
    return click.option("--customer", type=TEXT, required=required, help="Its name, as `customer list` shows it.")


def customer_id(session: Any, name: str | None) -> int | None:
    """The row of the customer that `--customer` names; None where it names none."""
    from triaged.adapters.db import rooms

    return rooms.need_customer(session, name).id if name else None


# Files


@dataclass(frozen=True, slots=True)
class Doors:
    """Where one kind of file is read, taken in and written; opened late, so that the help needs no import."""

    shape: Any
    take: Callable[..., "Outcome"]
    records: Callable[[Any], Any]


def doors(kind: str) -> Doors:
    from triaged.adapters import estate_file
    from triaged.adapters.db import rooms
    from triaged.workflows import estate_import

    return {
        "rooms": Doors(estate_file.ROOMS, estate_import.import_rooms, rooms.room_records),
        "devices": Doors(estate_file.DEVICES, estate_import.import_devices, rooms.device_records),
        "extensions": Doors(estate_file.EXTENSIONS, estate_import.import_extensions, rooms.extension_records),
    }[kind]


def import_command(kind: str, name: str, about: str) -> click.Command:
    """Add and change from a CSV file: all of it or nothing."""

    @click.command(name, help=about)
    @click.argument("file")
    @click.option("--dry-run", is_flag=True, help="Only say what would change.")
    @json_option
    @click.pass_obj
    def run(cli: "Cli", file: str, dry_run: bool, as_json: bool) -> None:
        from triaged.adapters import estate_file

        door = doors(kind)
        reading = estate_file.read(_content(file), door.shape)
        if reading.problems:
            _refuse(file, reading.problems, as_json)
        outcome = door.take(job(cli, dry_run=dry_run), reading)
        if outcome.problems:
            _refuse(file, outcome.problems, as_json)
        _tell(outcome, dry_run, as_json)

    return run


def export_command(kind: str, name: str, about: str) -> click.Command:
    """What the import would read back unchanged."""

    @click.command(name, help=about)
    @click.option("-o", "--output", type=click.File("w", "utf-8", atomic=True), default="-", help="Else stdout.")
    @click.pass_obj
    def run(cli: "Cli", output: IO[str]) -> None:
        from triaged.adapters import estate_file

        door = doors(kind)
        with cli.database.read() as session:
            output.write(estate_file.write(door.records(session), door.shape))

    return run


def add_one(cli: "Cli", kind: str, record: Any) -> str:
    """Make one thing by the rules of its file; returns its key. Stops with the reason where it cannot be."""
    from triaged.adapters import estate_file

    door = doors(kind)
    outcome = door.take(job(cli, fresh=True), estate_file.Reading(((1, record),), frozenset(door.shape.columns), ()))
    if outcome.problems:
        stop(Exit.PROBLEMS, "\n".join(f"{problem.found}: {problem.fix}" for problem in outcome.problems))
    return str(record.key)


def _content(file: str) -> bytes:
    from triaged.adapters import source

    return sys.stdin.buffer.read() if file == "-" else source.read(file).data


def _refuse(file: str, problems: "Sequence[Problem]", as_json: bool) -> None:
    from dataclasses import asdict

    from triaged.adapters import estate_file

    if as_json:
        print_json({"problems": [asdict(problem) for problem in problems]})
    stop(Exit.PROBLEMS, estate_file.told(file, problems))


def _tell(outcome: "Outcome", dry_run: bool, as_json: bool) -> None:
    from triaged import log

    if as_json:
        print_json(outcome.document())
        return
    for mark, keys in (("+", outcome.added), ("~", outcome.changed)):
        for key in keys[:_SHOWN]:
            click.echo(f"{mark} {log.escape(key)}")
        if len(keys) > _SHOWN:
            click.echo(f"{mark} … and {len(keys) - _SHOWN:,} more (--json has all)")
    numbers = f"{len(outcome.added):,} added, {len(outcome.changed):,} changed, {outcome.unchanged:,} unchanged"
    click.echo(numbers + (" (dry run: nothing was done)" if dry_run else ""))
