"""The composition root: the only place that builds anything from the configuration."""

import contextlib
import secrets
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import IO

from triaged import log, settings
from triaged.adapters import confinement, directory_file, imap, lifenote, pages, smtp, templates
from triaged.adapters.db import casebook, engine, leases, ledger, migrations
from triaged.desks import correspondence, reception, sealed
from triaged.desks.bureau import Bureau
from triaged.desks.case import Desk, Mail
from triaged.domain import order_form
from triaged.domain.decision import Decision, Verdict
from triaged.domain.errors import PermanentError, TransientError
from triaged.domain.message import Message
from triaged.domain.order import Draft
from triaged.mail import attachments, reader
from triaged.settings import Settings
from triaged.workflows import backup, decide, intake, portal, rescue

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class App:
    """Everything a command or the daemon needs, built once. `key` signs our Message-IDs and log ids; `command` starts
    this program once more with the same configuration, where that has a file."""

    settings: Settings
    database: engine.Database
    renderer: templates.Renderer
    key: bytes = field(repr=False)
    command: tuple[str, ...] = ()

    @property
    def desk(self) -> Desk:
        return Desk(self.settings, self.renderer.locales(), self.key)

    @property
    def post(self) -> correspondence.Post:
        return correspondence.Post(self.settings, self.renderer, self.key)

    @property
    def seals(self) -> sealed.Seals:
        return sealed.Seals(self.desk, self.post)

    @property
    def portal(self) -> portal.Portal:
        return portal.Portal(self.database, self.post)

    @property
    def pages(self) -> pages.Pages:
        return pages.Pages(_templates(self.settings), self.settings.service.locale)

    @property
    def rules(self) -> directory_file.Rules:
        """What directory files may say."""
        policy = self.settings.policy
        return directory_file.Rules(frozenset(policy.regions), policy.public_mail_domains)


def load(config: Path | None) -> App:
    """Read the configuration and open what it names. Raises ConfigurationError with every problem at once."""
    named = ("-c", str(config)) if config else ()
    return replace(build(settings.load(config)), command=(sys.executable, "-m", "triaged", *named))


def build(values: Settings) -> App:
    """Open what the configuration names. Nothing is connected yet."""
    log.configure(values.log.format)
    _made(values.service.state_dir)
    return App(
        settings=values,
        database=engine.Database(values.database.url),
        renderer=templates.Renderer(_templates(values), values.service.locale),
        key=_key(values.service.secret_file),
    )


def _templates(values: Settings) -> list[Path]:
    """Where templates are looked for: the operator's first, ours last."""
    shipped, override = settings.shipped("templates"), values.service.templates
    return [override, shipped] if override else [shipped]


def ready(app: App) -> App:
    """Refuse to work on a schema that is not this program's. Raises PermanentError with the command that mends it."""
    found, wanted = schema(app)
    if found != wanted:
        raise PermanentError(
            f"the database has {found or 'no schema'}, this program needs {wanted}: run `triaged db upgrade` first"
        )
    return app


def _refuse_emptied(app: App, *, empty: bool) -> None:
    """A database without tables where there was one is a loss, not a beginning. Raises PermanentError."""
    folder = app.settings.service.state_dir
    if empty and lifenote.read(folder, app.database.name):
        raise PermanentError(
            f"the database is empty, and triaged has worked on it before ({folder / lifenote.FILE} says so): bring it "
            "back with `triaged db restore BACKUP`, or remove that note to begin anew with nothing"
        )


def template_problems(app: App) -> list[str]:
    """What is wrong with templates where the operator has his own: ours are tested."""
    return [*app.renderer.problems(), *app.pages.problems()] if app.settings.service.templates else []


def schema(app: App) -> tuple[str | None, str]:
    """The schema that the database has, and the one that this program needs. A file that is gone is not made anew.

    Raises PermanentError where the database was emptied, or is of a newer program."""
    path = app.database.path
    _refuse_emptied(app, empty=path is not None and (not path.exists() or path.stat().st_size == 0))
    with engine.translated():
        found = migrations.current(app.database)
    _refuse_emptied(app, empty=found is None)
    if found is not None and found not in migrations.known(settings.shipped("migrations")):
        raise PermanentError(
            f"the database has {found}, which a newer triaged wrote: run that one, or `triaged db restore` a backup "
            "from before it. Schemas do not go back"
        )
    return found, migrations.head(settings.shipped("migrations"))


def upgrade(app: App) -> tuple[str | None, str]:
    """Bring the schema up; returns where it stood and where it stands."""
    before = schema(app)[0]
    with engine.translated():
        return before, migrations.upgrade(app.database, settings.shipped("migrations"))


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision with the mail that it is about, and the mails that would go: (recipients, rendered)."""

    decision: Decision
    message: Message
    letters: tuple[tuple[tuple[str, ...], templates.Rendered], ...]


def explain(app: App, raw: bytes, mailbox: str | None) -> Explained:
    """The decision on a mail file, by the very code that the daemon runs; nothing is stored."""
    truncated = len(raw) > app.settings.limits.message
    if truncated:  # as intake would have taken it
        raw = raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    place = app.settings.mailbox(mailbox) if mailbox else _addressed(app, raw)
    mail = reception.read_mail(raw, place, app.desk, datetime.now(UTC), truncated, on_file=True)
    with ready(app).database.read() as session:
        decision = reception.consider(mail, app.desk, session).decision
    if mail.mailbox.desk == "contracts":  # our own subjects, whatever the sender's was
        titled = tuple(correspondence.titled(app.post, notice) for notice in decision.notices)
        decision = replace(decision, notices=titled)
    return Explained(decision, mail.message, _letters(app, decision))


def _addressed(app: App, raw: bytes) -> settings.Mailbox:
    """The mailbox that the mail was written to, else the first."""
    message = reader.read(raw, app.settings.house, truncated=True)
    written = {address.address for address in (*message.to, *message.cc)} | {*message.values("delivered-to")}
    return next((m for m in app.settings.mailboxes if m.address in written), app.settings.mailboxes[0])


def _letters(app: App, decision: Decision) -> tuple[tuple[tuple[str, ...], templates.Rendered], ...]:
    """The mails of a decision as they would read; a ticket that has no number yet shows where it will stand."""
    number = decision.ticket or (f"{decision.region.upper()}-NNNNNN" if decision.verdict is Verdict.TICKET else "")
    return tuple(
        (notice.to, app.renderer.render(notice.name, notice.locale, replace(notice.facts, ticket=number)))
        for notice in decision.notices
    )


def orders_in(app: App, file: Path) -> tuple[Draft, ...]:
    """The purchase orders of a file: a mail (.eml), or anything that a mail could carry as an attachment."""
    words = app.settings.order_words
    content = file.read_bytes()
    if file.suffix.lower() == ".eml":
        draft = order_form.read(reader.read(content, app.settings.house), words)
        return (draft,) if draft else ()
    return order_form.read_rows(attachments.lines_of(file.name, content), words)


def replay(app: App, number: int) -> Decision:
    """The decision on a stored mail as of today; nothing is stored."""
    with ready(app).database.read() as session:
        record = casebook.one(session, number)
        raw = ledger.raw(session, number)
        place = app.settings.mailbox(record.row["mailbox"])
        mail = reception.read_mail(raw, place, app.desk, record.row["received_at"], record.truncated)
        decision = reception.consider(mail, app.desk, session).decision
    return replace(decision, ticket=decision.ticket or record.row["ticket"] or "")


def rehearse(app: App, tasks: Iterable[str], out: IO[bytes]) -> None:
    """The daemon's child, for mails that it tried in vain: `17` is decided and answered, of `17 heading` only the
    heading is read; nothing is stored. What a mail raises is the daemon's to hear when it tries again itself, but for
    want of memory."""
    confinement.perform(tasks, out, partial(_rehearsed, ready(app)))


def _rehearsed(app: App, task: str) -> None:
    number, _space, part = task.partition(" ")
    step = partial(_heading if part else _answered, app, int(number))
    with contextlib.suppress(TransientError):  # the database's trouble: the daemon will meet it
        failure = decide.tried(step)
        if isinstance(failure, decide.Failure) and failure.memory:
            raise MemoryError


def _answered(app: App, number: int) -> object:
    return _letters(app, replay(app, number))


def _heading(app: App, number: int) -> Mail:
    with app.database.read() as session:
        record = casebook.one(session, number)
        raw = ledger.raw(session, number)
    place = app.settings.mailbox(record.row["mailbox"])
    return reception.read_heading(raw, place, app.desk, record.row["received_at"])


def bureau(app: App, actor: str) -> Bureau:
    """Where the commands of associates and operators act."""
    return Bureau(ready(app).database, app.desk, app.post, actor)


def office(app: App, owner: str) -> decide.Office:
    """Where mails are decided."""
    rehearsal = confinement.Rehearsal((*app.command, "message", "rehearse")) if app.command else None
    return decide.Office(app.database, app.desk, app.post, owner, rehearsal)


@dataclass(frozen=True, slots=True)
class Watched:
    """What a daemon lends the threads of its mailboxes: its stop, its clock, its bells, who may poll, and who hangs."""

    stop: threading.Event
    now: Callable[[], datetime]
    wake: Callable[[], None]
    progress: Callable[[str, Mapping[str, object]], None]
    tenure: Callable[[str], intake.Tenure]
    pulse: Callable[[str, float], None]


def intakes(app: App, watched: Watched) -> tuple[intake.Intake, ...]:
    """One per mailbox."""
    return tuple(
        intake.Intake(
            mailbox=mailbox,
            database=app.database,
            limit=app.settings.limits.message,
            now=watched.now,
            wake=watched.wake,
            progress=watched.progress,
            stop=watched.stop,
            tenure=watched.tenure(mailbox.name),
            pulse=partial(watched.pulse, leases.mailbox(mailbox.name)),
            rescue=partial(_rescued, app, mailbox),
        )
        for mailbox in app.settings.mailboxes
    )


def _rescued(app: App, mailbox: settings.Mailbox, connection: imap.Connection) -> int:
    about = rescue.Rescue(mailbox, app.database, app.settings.limits.message)
    return rescue.bring_back(about, connection, datetime.now(UTC))


def live(app: App) -> None:
    """One sign of life more, in the database and beside it; notices an old backup in the database's place."""
    values = app.settings
    backup.live(app.database, values.service.state_dir, tuple(values.policy.regions), datetime.now(UTC))


def relay(app: App) -> smtp.Relay:
    return smtp.Relay(app.settings.smtp, socket.getfqdn())


def _made(state_dir: Path) -> None:
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PermanentError(
            f"[service] state_dir {state_dir}: {error.strerror}. Create it for the user that runs "
            "triaged, or name another"
        ) from error


def _key(path: Path) -> bytes:
    """The installation's key, made at first use; several hosts on one database must share it (`secret_file`)."""
    try:
        if not path.exists():
            path.touch(mode=0o600)
            path.write_bytes(secrets.token_bytes(_KEY_BYTES))
        key = path.read_bytes()
    except OSError as error:
        raise PermanentError(f"[service] secret_file {path}: {error.strerror}") from error
    if len(key) < _KEY_BYTES:
        raise TransientError(
            f"[service] secret_file {path} has {len(key)} bytes instead of {_KEY_BYTES}: restore it from a backup, or "
            "remove it to make a new one (answers to mails sent before will not be recognised by their Message-ID)"
        )
    return key
