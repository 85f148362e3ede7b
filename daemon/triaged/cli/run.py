"""`triaged demo | run | check | status`."""

from typing import TYPE_CHECKING, Any

import click

from triaged.cli import Exit, json_option, print_json, stop

if TYPE_CHECKING:
    from triaged.cli import Cli


@click.command()
@click.option("--stay", is_flag=True, help="Keep the servers and the daemon up to play with, until Ctrl-C.")
def demo(stay: bool) -> None:
    """Watch it work: a real IMAP and a real SMTP server on this machine, a dozen partners' mails, every decision."""
    try:
        from triaged import demo as story
    except ImportError as error:
        stop(Exit.PROBLEMS, f"{error.name} is not installed: pip install 'triaged[demo]'")
    story.show(stay)


@click.command()
@click.option("--once", is_flag=True, help="Drain every mailbox, decide, deliver what is due, exit.")
@click.pass_obj
def run(cli: "Cli", once: bool) -> None:
    """The daemon, until SIGTERM. Logs go to stderr."""
    from triaged import schedule

    if not once:
        schedule.run(cli.app)
        return
    troubles = schedule.run_once(cli.app)
    if troubles:
        stop(Exit.UNREACHABLE, "\n".join(troubles))


@click.command()
@json_option
@click.pass_obj
def check(cli: "Cli", as_json: bool) -> None:
    """Try configuration, database, servers and templates: one line each, ok, warn or FAIL with the fix."""
    from triaged import app, settings
    from triaged.adapters import terminal
    from triaged.workflows import checkup

    here = cli.app
    relay = app.relay(here)
    scripts = settings.shipped("migrations")
    found = []
    try:
        for finding in checkup.findings(here.settings, here.database, scripts, here.renderer, here.pages, relay):
            found.append(finding)
            if not as_json:
                terminal.checked(finding.level, finding.name, finding.text, finding.fix)
    finally:
        relay.close()
    if as_json:
        print_json([{"level": f.level, "name": f.name, "text": f.text, "fix": f.fix or None} for f in found])
    failed = [finding for finding in found if finding.level == "FAIL"]
    if failed:
        raise SystemExit(int(Exit.UNREACHABLE if all(f.unreachable for f in failed) else Exit.PROBLEMS))


@click.command()
@json_option
@click.pass_obj
def status(cli: "Cli", as_json: bool) -> None:
    """One screen: who runs, what waits, and what needs a person."""
    from triaged.adapters import terminal
    from triaged.workflows import overview

    seen = overview.overview(cli.database, cli.settings)
    if as_json:
        print_json(seen.document())
    else:
        terminal.facts(
            [
                (
                    "daemons",
                    ", ".join(f"{d['host']}/{d['pid']} {'alive' if d['alive'] else 'silent'}" for d in seen.daemons),
                ),
                (
                    "mailboxes",
                    ", ".join(_polled(mailbox, len(seen.daemons) > 1) for mailbox in seen.mailboxes),
                ),
                ("mails", ", ".join(f"{number} {state}" for state, number in seen.messages.items())),
                ("tickets", ", ".join(f"{number} {state}" for state, number in seen.tickets.items())),
                ("S1 open", seen.critical),
                ("orders", ", ".join(f"{number} {state}" for state, number in seen.orders.items())),
                ("contracts", ", ".join(f"{number} {state}" for state, number in seen.contracts.items())),
                ("invitations", ", ".join(f"{number} {state}" for state, number in seen.invitations.items())),
                ("queue", ", ".join(f"{number} {state}" for state, number in seen.queue.items() if number)),
                ("last audit", _audited(seen.audit)),
            ],
            "triaged",
        )
        for sentence in seen.attention:
            terminal.say(f"! {sentence}", "yellow")
        if not seen.attention:
            terminal.say("nothing needs a person", "green")


def _audited(audit: dict[str, Any] | None) -> str:
    if audit is None:
        return "never"
    found, unseen = len(audit["differences"]), len(audit["not_looked_at"])
    told = f"{found} difference{'s' * (found != 1)}" if found else "no differences" if unseen else "clean"
    return f"{audit['at']:%Y-%m-%d %H:%M} UTC, {told}" + (f", {unseen} not looked at" if unseen else "")


def _polled(mailbox: dict[str, Any], several: bool) -> str:
    polled = f"polled {mailbox['polled']:%Y-%m-%d %H:%M} UTC" if mailbox["polled"] else "never polled"
    state = mailbox.get("state") or polled
    return f"{mailbox['name']} {state}" + (f" ({mailbox['host']})" if several and mailbox.get("host") else "")
