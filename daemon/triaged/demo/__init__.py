"""`triaged demo`: the whole house on loopback with nothing to configure, shown mail by mail.

Nothing here is a stand-in for the daemon: it runs as ever, polls a real IMAP server and talks to a real SMTP server;
the demo only puts mails into the mailboxes, waits, and shows what the database and the relay then hold.
"""

import email
import email.message
import email.policy
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from triaged import app as composition
from triaged import log, schedule, settings
from triaged.adapters import directory_file, terminal
from triaged.adapters.db import casebook, directory_import, outbox
from triaged.app import App
from triaged.demo import mails, servers
from triaged.domain.delivery import State
from triaged.domain.errors import TransientError

T = TypeVar("T")
_USERS = ("partners-com", "partners-eu", "select")
_PATIENCE = 30.0
_SHOWN_WHOLE = 1  # how often a kind of mail is shown in full before only its beginning is

_CONFIG = """\
[service]
domain = "support.example"
state_dir = "state"
locale = "fr"
public_url = "http://127.0.0.1:8080"

[database]
url = "sqlite:///{folder}/state/triaged.db"

[[mailbox]]
name = "partners-com"
desk = "support"
address = "{com}"
regions = ["us", "in", "au", "jp", "za", "ca"]
host = "127.0.0.1"
port = {imap}
security = "none"
username = "partners-com"
password_file = "password"
archive = "Processed"
poll = "2s"

[[mailbox]]
name = "partners-eu"
desk = "support"
address = "{eu}"
regions = ["eu", "uk"]
host = "127.0.0.1"
port = {imap}
security = "none"
username = "partners-eu"
password_file = "password"
archive = "Processed"
poll = "2s"

[[mailbox]]
name = "select"
desk = "contracts"
address = "{select}"
regions = ["eu", "uk", "us"]
host = "127.0.0.1"
port = {imap}
security = "none"
username = "select"
password_file = "password"
archive = "Processed"
poll = "2s"

[smtp]
host = "127.0.0.1"
port = {smtp}
security = "none"

[senders.support]
name = "Assistance partenaires"
address = "{com}"

[senders.contracts]
name = "Services de support Logitech"
address = "{select}"

[trust]
authserv_ids = ["{authserv}"]
"""


@dataclass(slots=True)
class Stage:
    """What the story plays on."""

    app: App
    servers: servers.Servers
    daemon: schedule.Daemon
    config: Path


def show(stay: bool) -> None:
    """Play the story, then stop; with `stay` keep everything up until Ctrl-C."""
    folder = Path(tempfile.mkdtemp(prefix="triaged-demo-"))
    stage = _set_up(folder)
    runner = threading.Thread(target=schedule.serve, args=(stage.daemon,), name="daemon")
    runner.start()
    try:
        _introduce(stage)
        _play(stage)
        _summary(stage)
        if stay:
            _stay(stage)
    except KeyboardInterrupt:
        terminal.say("stopping", "dim")
    finally:
        stage.daemon.stop.set()
        runner.join()
        stage.servers.stop()
        stage.app.database.dispose()


def _set_up(folder: Path) -> Stage:
    real = servers.Servers(_USERS)
    app = install(folder, real.imap_port, real.smtp_port)
    log.configure("text", (folder / "triaged.log").open("w", encoding="utf-8"))
    return Stage(app, real, schedule.Daemon(app), folder / "triaged.toml")


def install(folder: Path, imap_port: int, smtp_port: int) -> App:
    """A whole installation in `folder` for servers on loopback: configuration, schema, sample directory."""
    for name in ("policy.toml", "catalogue.toml"):
        shutil.copy(settings.shipped("config") / name, folder / name)
    password = folder / "password"
    password.touch(mode=0o600)
    password.write_text(servers.PASSWORD)
    config = folder / "triaged.toml"
    ports = {"imap": imap_port, "smtp": smtp_port, "authserv": mails.AUTHSERV}
    config.write_text(_CONFIG.format(folder=folder, com=mails.COM, eu=mails.EU, select=mails.SELECT, **ports))
    app = composition.load(config)
    composition.upgrade(app)
    import_samples(app)
    return app


def import_samples(app: App) -> None:
    """The shipped sample directory of partners and accounts."""
    samples = settings.shipped("config") / "samples"
    partners = directory_file.read_partners((samples / "partners.json").read_bytes(), app.rules)
    accounts = directory_file.read_accounts((samples / "accounts.json").read_bytes(), app.rules)
    with app.database.write() as session:
        directory_import.import_partners(session, partners.records)
        directory_import.import_accounts(session, accounts.records)


# --- the story ----------------------------------------------------------------------------------------------------


def _introduce(stage: Stage) -> None:
    terminal.rule("triaged demo")
    terminal.say(
        f"Three mailboxes on a real IMAP server (127.0.0.1:{stage.servers.imap_port}), two for support and one for "
        f"orders of service contracts, a real SMTP relay (127.0.0.1:{stage.servers.smtp_port}), SQLite, and a sample "
        "directory of customers and partners."
    )
    terminal.say("The daemon polls, decides and answers; each mail below arrived by IMAP a moment ago.", "dim")


def _play(stage: Stage) -> None:
    answered: dict[str, bytes] = {}
    told: dict[str, int] = {}
    for number, letter in enumerate(mails.STORY, 1):
        letter, thread = _written(letter, answered)
        before = len(stage.servers.sent)
        at = datetime.now(UTC)
        stage.servers.deliver(letter.user, mails.raw(letter, number, at, thread), at)
        record = _decided(stage, number)
        _delivered(stage)
        sent = stage.servers.sent[before:]
        _tell(number, letter, record, sent, told)
        for mail in sent:
            if _address(letter.sender) in _parsed(mail)["To"]:
                answered[letter.title] = mail


def _written(letter: mails.Letter, answered: dict[str, bytes]) -> tuple[mails.Letter, str]:
    """A reply is written from the mail that it answers, as a mail program does it."""
    if not letter.answers:
        return letter, ""
    question = _parsed(answered[letter.answers])
    body = mails.filled_in(_text(question), {"Adresse e-mail du super administrateur": mails.ADDED})
    return replace(letter, subject=str(question["Subject"]), body=body), str(question["Message-ID"])


def _decided(stage: Stage, number: int) -> casebook.MessageRecord:
    def there() -> casebook.MessageRecord | None:
        with stage.app.database.read() as session:
            found = casebook.listed(session)
        return found[number - 1] if len(found) >= number and found[number - 1].receipt else None

    return _await(stage, there, f"mail {number} was not decided")


def _delivered(stage: Stage) -> None:
    def empty() -> bool:
        with stage.app.database.read() as session:
            counts = outbox.counts(session)
        return not (counts[State.QUEUED] or counts[State.SENDING])

    _await(stage, empty, "mails were not delivered")


def _await(stage: Stage, look: Callable[[], T | None], complaint: str) -> T:
    """What `look` finds, as soon as it finds it."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        if found := look():
            return found
        stage.daemon.stop.wait(0.05)
    raise TransientError(
        f"{complaint} within {_PATIENCE:.0f} s; the daemon's log says why: {stage.config.parent}/triaged.log"
    )


# --- what the person sees -----------------------------------------------------------------------------------------


def _tell(
    number: int, letter: mails.Letter, record: casebook.MessageRecord, sent: Sequence[bytes], told: dict[str, int]
) -> None:
    terminal.say()
    terminal.rule(f"{number} of {len(mails.STORY)} · {letter.title}")
    terminal.mail(letter.subject, [("from", letter.sender), ("to", letter.user)], _excerpt(letter))
    terminal.decision(record.receipt or {}, "what triaged decided")
    for mail in sent:
        parsed = _parsed(mail)
        kind = f"{parsed['X-Triaged']} {parsed['Content-Language']}"
        told[kind] = told.get(kind, 0) + 1
        text = _text(parsed)
        shown = text if told[kind] <= _SHOWN_WHOLE else _beginning(text, 6)
        terminal.mail(str(parsed["Subject"]), [("from", parsed["From"]), ("to", parsed["To"])], shown)


def _excerpt(letter: mails.Letter) -> str:
    """The beginning; of a reply also the line that was filled in, deep in what it quotes."""
    filled = next((line for line in letter.body.splitlines() if line.startswith(">") and mails.ADDED in line), "")
    return _beginning(letter.body, 8) + (f"\n{filled}" if letter.answers else "")


def _beginning(text: str, lines: int) -> str:
    kept = text.splitlines()
    rest = len(kept) - lines
    return "\n".join([*kept[:lines], f"… {rest} more lines"]) if rest > 1 else text


def _summary(stage: Stage) -> None:
    with stage.app.database.read() as session:
        records = casebook.listed(session)
        entries = outbox.entries(session)
    command = f"{_ourselves()} -c {stage.config}"
    terminal.say()
    terminal.rule("what happened")
    terminal.table(
        ("mail", "decision", "reason", "ticket, order", "severity", "mails sent"),
        (
            (
                record.row["id"],
                record.row["decision"],
                record.row["reason"],
                record.row["ticket"] or (record.receipt or {}).get("order"),
                (record.receipt or {}).get("severity"),
                ", ".join(e.notice for e in entries if e.cause == f"m{record.row['id']}" and e.state is State.SENT),
            )
            for record in records
        ),
    )
    terminal.say()
    terminal.say("Try next; the demo's database stays where it is:", "bold")
    for line in (
        f"{command} ticket list",
        f"{command} ticket show EU-000002",
        f"{command} ticket set-customer EU-000006 it@acme.example",
        f"{command} ticket accept EU-000008",
        f"{command} message show 1",
        f"{command} contract show SC-000001",
        f"{command} web       (pages: open the link of the last invitation)",
        f"{command} queue list",
        f"{command} quarantine list",
        f"{command} account lookup 655906806",
    ):
        terminal.say(f"  {line}")
    terminal.say("Your own configuration starts from config/triaged.toml; docs/operator.md leads through it.", "dim")


def _ourselves() -> str:
    """How the person would call us: by name where the shell finds it, else by path."""
    if shutil.which("triaged"):
        return "triaged"
    called = Path(sys.argv[0])
    return os.path.relpath(called) if called.name == "triaged" else f"{sys.executable} -m triaged"


def _stay(stage: Stage) -> None:
    terminal.say()
    terminal.say(
        f"Everything stays up until Ctrl-C. IMAP 127.0.0.1:{stage.servers.imap_port}: users {', '.join(_USERS)} (write "
        f"there) and {servers.PEOPLE} (all mails that were sent), password {servers.PASSWORD}. "
        f"The log: tail -f {stage.config.parent}/triaged.log",
        "bold",
    )
    stage.daemon.stop.wait()


def _parsed(mail: bytes) -> email.message.EmailMessage:
    """Our own mail, which is well formed."""
    message = email.message_from_bytes(mail, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


def _text(message: email.message.EmailMessage) -> str:
    part = message.get_body(("plain",))
    return str(part.get_content()) if part else ""


def _address(sender: str) -> str:
    return sender.rpartition("<")[2].rstrip(">")
