"""The command line: one file per noun, loaded only when it is called, so that `--help` answers at once.

Exit codes (INTERFACE §3): 0 ok · 1 found problems · 2 usage · 3 configuration · 4 cannot reach a server ·
75 try again later. Reads take `--json`: one document on stdout, nothing else; logs go to stderr.
"""

import importlib
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import triaged

if TYPE_CHECKING:
    from triaged import app


class Exit(IntEnum):
    """What a script may rely on."""

    OK = 0
    PROBLEMS = 1
    USAGE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    TRY_LATER = 75


# The number of a row on the command line; no database has a greater one.
ROW = click.IntRange(0, 2**31 - 1)

# noun → (module, attribute, one line of help): the help needs no import.
_COMMANDS = {
    "demo": ("run", "demo", "Everything on this machine with nothing to configure: watch it work"),
    "run": ("run", "run", "The daemon; --once drains the mailboxes, answers and exits"),
    "web": ("web", "web", "The pages behind invitation links, until SIGTERM"),
    "check": ("run", "check", "Try configuration, database, servers and templates; one line each"),
    "audit": ("audit", "audit", "Prove that nothing was lost: servers, ledger, decisions, queue; name what differs"),
    "selftest": ("selftest", "selftest", "Faults on a copy of your configuration: nothing lost, nothing doubled?"),
    "status": ("run", "status", "One screen: mailboxes, tickets, what we owe, what needs a person"),
    "explain": ("explain", "explain", "The whole decision on one mail file; nothing stored, nothing sent"),
    "message": ("message", "message", "The ledger of mails received"),
    "ticket": ("ticket", "ticket", "Tickets: list, show, set the customer, accept from review"),
    "queue": ("queue", "queue", "Mails we owe: list, show, retry, hold, release, withdraw"),
    "quarantine": ("quarantine", "quarantine", "Mails that could not be read: list, show, release, drop"),
    "account": ("account", "account", "Customers' accounts: list, show, lookup, import, export"),
    "partner": ("partner", "partner", "Partners: list, show, import, export"),
    "customer": ("customer", "customer", "Customers of service contracts: list, show, import, export"),
    "order": ("order", "order", "Purchase orders: list, show, accept, reject, import"),
    "contract": ("contract", "contract", "Service contracts: list, show, set-customer-email, cancel, restore"),
    "invite": ("invite", "invite", "Invitations to the portal: list, show, resend, revoke"),
    "room": ("room", "room", "Rooms: list, show, add, import, export; assign, release and move licences"),
    "device": ("device", "device", "Devices: list, show, add, import, export, move; earlier warranty extensions"),
    "spares": ("spares", "spares", "On-site spares: list, show, agree, withdraw"),
    "db": ("db", "db", "The database: upgrade, current, backup, restore, restored"),
}


class LazyGroup(click.Group):
    """Knows its commands by name and imports one only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute, _help = _COMMANDS[cmd_name]
        command: click.Command = getattr(importlib.import_module(f"triaged.cli.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_module, _attribute, text) in _COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        from triaged.domain.errors import PermanentError, TransientError

        try:
            return super().invoke(ctx)
        except TransientError as error:
            stop(Exit.TRY_LATER, str(error))
        except PermanentError as error:
            from triaged.settings import ConfigurationError

            stop(Exit.CONFIGURATION if isinstance(error, ConfigurationError) else Exit.PROBLEMS, str(error))


class Cli:
    """What every command is given: the configuration and the database, each opened when first asked for."""

    def __init__(self, config: Path | None) -> None:
        self._config = config
        self._app: app.App | None = None

    @property
    def config(self) -> Path | None:
        """The triaged.toml that was named; None: the usual places."""
        return self._config

    @property
    def app(self) -> "app.App":
        if self._app is None:
            from triaged import app

            self._app = app.load(self._config)
        return self._app

    @property
    def settings(self) -> Any:
        return self.app.settings

    @property
    def database(self) -> Any:
        """The database, once its schema is known to be ours. Raises PermanentError with the command that mends it."""
        from triaged import app

        return app.ready(self.app).database


def stop(code: Exit, text: str) -> NoReturn:
    """Say what is wrong on stderr and leave with `code`."""
    click.echo(text, err=True)
    raise SystemExit(int(code))


def print_json(document: object) -> None:
    """One JSON document on stdout; times as RFC 3339 UTC. Letters stay letters; what a terminal might act on or hide is
    written as an escape, which JSON has for all of it."""
    import json
    from datetime import datetime

    def plain(value: object) -> str:
        return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)

    text = json.dumps(document, ensure_ascii=False, indent=2, default=plain)
    if not text.replace("\n", "").isprintable():
        text = "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in text)
    click.echo(text.replace("\x7f", "\\u007f"))


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--json` for every read."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(function)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="triaged.toml; else $TRIAGED_CONFIG, ./config/triaged.toml, /etc/triaged/triaged.toml.",
)
@click.version_option(triaged.__version__, prog_name="triaged")
@click.pass_context
def main(ctx: click.Context, config: Path | None) -> None:
    """triaged: partners' mails become tickets with the right severity.

    New here? `triaged demo` shows everything on this machine, with nothing to configure.
    """
    ctx.obj = Cli(config)
