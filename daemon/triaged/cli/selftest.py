"""`triaged selftest`: the fault laboratory on a copy of the operator's configuration."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from triaged.cli import Exit, json_option, print_json, stop

if TYPE_CHECKING:
    from triaged.cli import Cli
    from triaged.selftest.exercises import Result


@click.command()
@click.option("--seconds", type=click.FloatRange(5, 3600), default=90.0, show_default=True, help="At most so long.")
@click.option("--keep", is_flag=True, help="Leave the copy, its database and the logs for reading.")
@json_option
@click.pass_obj
def selftest(cli: "Cli", seconds: float, keep: bool, as_json: bool) -> None:
    """Cut wires, kill the daemon, refuse its mails: on a copy of your configuration that touches no real server."""
    try:
        from triaged.selftest import exercises
    except ImportError as error:
        stop(Exit.PROBLEMS, f"{error.name} is not installed: pip install 'triaged[demo]'")
    from triaged.adapters import terminal

    def tell(result: "Result") -> None:
        if not as_json:
            terminal.checked("ok" if result.ok else "FAIL", result.name, result.text)

    verdict = exercises.run(cli.config, seconds, keep, tell)
    if as_json:
        found = verdict.reckoning
        print_json(
            {
                "ok": verdict.ok,
                "exercises": [asdict(result) for result in verdict.results],
                "lost": list(found.lost) if found else None,
                "double": list(found.double) if found else None,
                "unsent": list(found.unsent) if found else None,
                "copies": found.copies if found else None,
                "seconds": round(verdict.seconds, 1),
                "folder": _shown(verdict.folder),
            }
        )
    else:
        terminal.say(verdict.sentence, "green" if verdict.ok else "bold red")
    if not verdict.ok:
        raise SystemExit(int(Exit.PROBLEMS))


def _shown(folder: Path | None) -> str | None:
    return str(folder) if folder else None
