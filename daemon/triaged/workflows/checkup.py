"""`check`: try everything that the daemon will need, and say in one line each what is right, doubtful or wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from triaged.adapters import imap, pages, smtp, templates
from triaged.adapters.db import engine, migrations
from triaged.domain.errors import PermanentError, TransientError
from triaged.settings import Mailbox, Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """`level`: ok | warn | FAIL; `fix` is what to do about it; `unreachable` when a server could not be reached."""

    level: str
    name: str
    text: str
    fix: str = ""
    unreachable: bool = False


def findings(
    settings: Settings,
    database: engine.Database,
    scripts: Path,
    renderer: templates.Renderer,
    portal: pages.Pages,
    relay: smtp.Relay,
) -> Iterator[Finding]:
    """Configuration, database, schema, each server, mails and pages in every locale; each tried for real."""
    yield Finding("ok", "configuration", f"{settings.path}: {len(settings.mailboxes)} mailboxes")
    yield from (Finding("warn", "configuration", text) for text in settings.warnings)
    yield _database(database, scripts)
    for mailbox in settings.mailboxes:
        yield _mailbox(mailbox, settings.limits.message)
    yield _relay(relay)
    yield bounces(settings)
    yield from _templates("templates", renderer.problems(), renderer.locales())
    yield from _templates("pages", portal.problems(), portal.locales)


def _database(database: engine.Database, scripts: Path) -> Finding:
    try:
        with engine.translated():
            found, wanted = migrations.current(database), migrations.head(scripts)
    except (TransientError, PermanentError) as error:
        return Finding("FAIL", "database", str(error), "see [database] url", unreachable=True)
    if found != wanted:
        return Finding("FAIL", "database", f"schema {found or 'missing'}, needed {wanted}", "triaged db upgrade")
    return Finding("ok", "database", f"{database.dialect}, schema {found}")


def _mailbox(mailbox: Mailbox, longest: int) -> Finding:
    name = f"mailbox {mailbox.name}"
    try:
        connection = imap.connect(mailbox, longest)
    except (TransientError, PermanentError) as error:
        return Finding("FAIL", name, str(error), f"see [[mailbox]] {mailbox.name}", unreachable=True)
    try:
        selected = connection.select()
    except (TransientError, PermanentError) as error:
        return Finding("FAIL", name, str(error), f"see [[mailbox]] {mailbox.name}: folder", unreachable=True)
    finally:
        connection.close()
    told = "wakes by IDLE" if connection.can_idle and mailbox.idle else f"polls every {mailbox.poll}"
    return Finding("ok", name, f"{mailbox.host}:{mailbox.port} {selected.uidvalidity}, {connection.tidying}, {told}")


def _relay(relay: smtp.Relay) -> Finding:
    trouble = relay.check()
    if trouble:
        return Finding("FAIL", "relay", f"{relay.name}: {trouble.reason}", "see [smtp]", unreachable=True)
    return Finding("ok", "relay", f"{relay.name} takes our mail")


def bounces(settings: Settings) -> Finding:
    """Whether each mail has a return path of its own. That mail to it really arrives, only a bounce can show."""
    domain, name = settings.service.domain, settings.bounce_mailbox
    if not name:
        told = "no return paths of our own: bounces come to the mailbox of the region and count by their Message-ID"
        return Finding("ok", "bounces", told)
    told = f"keyed return paths: mail to bounce+ANYTHING@{domain} must come to mailbox {name}"
    return Finding("ok", "bounces", f"{told}, and the SPF record of {domain} must name the relay")


def _templates(name: str, problems: Sequence[str], locales: Sequence[str]) -> Iterator[Finding]:
    yield from (Finding("FAIL", name, problem) for problem in problems)
    if not problems:
        yield Finding("ok", name, f"complete in {', '.join(locales)}")
