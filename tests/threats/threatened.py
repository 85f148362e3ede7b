"""A house under attack, without servers: what a mailbox would hold is put into the ledger as intake puts it, and
decided as the daemon decides it. What leaves the house is read from the outbox, whose rows are finished bytes."""

import email
import email.policy
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from tests.house import desk
from tests.servers import accounts

from triaged import app as composition
from triaged.adapters.db import ledger, outbox
from triaged.app import App
from triaged.workflows import decide

OURS = "mx.vendor.example"
PARTNER, COLLEAGUE, STRANGER = "contact@integra.example", "paul@integra.example", "eve@stranger.example"
LARGE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"
FRENCH = "Bonjour, nous n'arrivons plus à nous connecter depuis ce matin, pouvez-vous regarder s'il vous plaît ?\n"

_numbers = itertools.count(1)


class NoServer:
    """Nobody polls here."""

    def mailbox(self) -> accounts.Mailbox:
        user = accounts.new_name()
        return accounts.Mailbox(name=user, username=user, port=1)


def letter(
    body: str = FRENCH,
    *,
    sender: str = PARTNER,
    subject: str = "Question",
    verdict: str | None = "dmarc=pass",
    head: str = "",
    top: str = "",
    message_id: str | None = None,
    date: str | None = None,
    to: str = desk.EU,
) -> bytes:
    """A mail as the border server handed it over. `verdict` is what it found (None: it wrote no field), `top` is above
    everything, `head` are further fields of the sender's."""
    number = next(_numbers)
    domain = sender.rpartition("@")[2].rstrip(">")
    found = f"Authentication-Results: {OURS}; {verdict} header.from={domain}\r\n" if verdict else ""
    written = date if date is not None else f"Date: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S} +0000\r\n"
    return (
        f"{top}{found}Received: from mail.{domain} by {OURS} with ESMTPS id {number:08d}; "
        f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} +0000\r\n"
        f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\n"
        f"Message-ID: {message_id or f'<{number}@{domain}>'}\r\n{written}{head}"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + body.replace("\n", "\r\n")
    ).encode("utf-8", "surrogateescape")


@dataclass
class House:
    """`receive` decides mails and returns their receipts; `sent` are the mails that would leave, to whom."""

    installation: desk.Installation
    uid: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def app(self) -> App:
        return self.installation.app

    def with_limits(self, said: str) -> "House":
        """The same house with more under [limits]."""
        config = self.installation.config
        config.write_text(config.read_text().replace("[limits]\n", f"[limits]\n{said}\n"))
        return House(replace(self.installation, app=composition.load(config)), self.uid)

    def admit(self, *mails: bytes, mailbox: str = "partners-eu", at: datetime | None = None) -> None:
        now = at or datetime.now(UTC)
        fetched = [ledger.Fetched(next(self.uid), raw, len(raw), now, False) for raw in mails]
        with self.app.database.write() as session:
            ledger.admit(session, mailbox, 1, fetched, now)

    def decide(self, at: datetime | None = None) -> None:
        decide.decide_waiting(composition.office(self.app, "me"), lambda: at or datetime.now(UTC), lambda: False)

    def receive(self, *mails: bytes, mailbox: str = "partners-eu", at: datetime | None = None) -> list[dict[str, Any]]:
        self.admit(*mails, mailbox=mailbox, at=at)
        self.decide(at)
        records = self.installation.messages()[-len(mails) :]
        assert all(record.row["state"] in ("decided", "quarantined") for record in records), "every mail is decided"
        return [dict(record.receipt or {}) for record in records]

    def one(self, raw: bytes, mailbox: str = "partners-eu", at: datetime | None = None) -> dict[str, Any]:
        (receipt,) = self.receive(raw, mailbox=mailbox, at=at)
        return receipt

    def queue(self, *states: str) -> list[outbox.Entry]:
        with self.app.database.read() as session:
            return [one for one in outbox.entries(session, limit=100_000) if not states or one.state in states]

    def bytes_of(self, entry: outbox.Entry) -> bytes:
        with self.app.database.read() as session:
            return outbox.body(session, entry.id) or b""

    def mail_of(self, entry: outbox.Entry) -> EmailMessage:
        return email.message_from_bytes(self.bytes_of(entry), policy=email.policy.default)  # type: ignore[return-value]  # typeshed has the compat32 class


def house(folder: Path, url: str, **changes: Any) -> House:
    return House(desk.install(folder, url, NoServer(), 1, **changes))


def copied(built: Path, folder: Path) -> House:
    """The same house again in a folder of its own."""
    shutil.copytree(built, folder, dirs_exist_ok=True)
    config = folder / "triaged.toml"
    config.write_text(config.read_text().replace(str(built), str(folder)))
    nowhere = accounts.Mailbox(port=1)
    return House(desk.Installation(composition.load(config), config, nowhere, nowhere, nowhere))


def words_of(mail: EmailMessage) -> str:
    """Everything that a reader sees of a mail's text."""
    return "\n".join(str(mail.get_body((kind,)).get_content()) for kind in ("plain", "html") if mail.get_body((kind,)))
