"""`triaged web`: the pages behind invitation links."""

from typing import TYPE_CHECKING

import click

from triaged.cli import Exit, stop

if TYPE_CHECKING:
    from triaged.cli import Cli


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Where, instead of [web] listen: 127.0.0.1:8080, [::]:8080.")
@click.pass_obj
def web(cli: "Cli", listen: str | None) -> None:
    """The pages behind invitation links, until SIGTERM. May run beside the daemon, on this host or another."""
    from triaged import settings
    from triaged.web import application, serving

    try:
        host, port = settings.endpoint(listen) if listen else serving.place(cli.settings)
    except ValueError:
        stop(Exit.USAGE, f"--listen {listen}: write host and port, like 127.0.0.1:8080 or [::1]:8080")
    try:
        serving.serve(cli.app, host, port)
    except serving.PortTaken as error:
        stop(Exit.UNREACHABLE, str(error))
    except application.NotConfigured as error:
        stop(Exit.CONFIGURATION, str(error))
