"""A whole installation for a test: configuration files, sample directory, mailboxes on a real server, a real relay."""

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.servers import accounts, smtp_sink

from triaged import app as composition
from triaged import demo, schedule, settings
from triaged.adapters.db import casebook, outbox, tickets
from triaged.adapters.db.tickets import EventRecord, TicketRecord
from triaged.app import App
from triaged.desks.bureau import Bureau

EU = "partner-support@eu.vendor.example"
COM = "partner-support@vendor.example"
SELECT = "select@vendor.example"
SIGNED = "Authentication-Results: mx.vendor.example; dmarc=pass header.from={domain}\r\n"

_CONFIG = """\
[service]
domain = "support.example"
state_dir = "state"
locale = "fr"
public_url = "{public_url}"
[database]
url = "{url}"
{mailboxes}
[smtp]
host = "127.0.0.1"
port = {smtp}
security = "none"
[senders.support]
name = "Assistance partenaires"
address = "partner-support@vendor.example"
[senders.contracts]
name = "Services de support Logitech"
address = "select@vendor.example"
[trust]
authserv_ids = ["mx.vendor.example"]
{trust}
{bounce}
[limits]
message = "{limit}"
"""

_MAILBOX = """\
[[mailbox]]
name = "{name}"
desk = "{desk}"
address = "{address}"
regions = [{regions}]
host = "127.0.0.1"
port = {port}
security = "none"
username = "{username}"
password = "secret"
poll = "1s"
{archive}
"""


@dataclass(frozen=True)
class Installation:
    """`eu` and `com` are the mailboxes as the server knows them."""

    app: App
    config: Path
    eu: accounts.Mailbox
    com: accounts.Mailbox
    contracts: accounts.Mailbox | None = None

    @property
    def select(self) -> accounts.Mailbox:
        """The contracts desk's mailbox."""
        assert self.contracts is not None, "install it with contracts=True"
        return self.contracts

    def bureau(self) -> Bureau:
        return composition.bureau(self.app, "operator")

    def once(self) -> tuple[str, ...]:
        return schedule.run_once(self.app)

    def messages(self) -> list[casebook.MessageRecord]:
        with self.app.database.read() as session:
            return casebook.listed(session)

    def tickets(self) -> list[TicketRecord]:
        with self.app.database.read() as session:
            return tickets.listed(session)

    def ticket(self, number: str) -> TicketRecord:
        with self.app.database.read() as session:
            found = tickets.by_number(session, number)
        assert found is not None
        return found

    def history(self, number: str) -> list[EventRecord]:
        ticket = self.ticket(number)
        with self.app.database.read() as session:
            return tickets.history(session, ticket.id)

    def queue(self) -> tuple[outbox.Entry, ...]:
        with self.app.database.read() as session:
            return outbox.entries(session)


@contextlib.contextmanager
def installed(folder: Path, url: str, server: object, relay_port: int, **changes: Any) -> Iterator[Installation]:
    """An installation for one test."""
    house = install(folder, url, server, relay_port, **changes)
    yield house
    house.app.database.dispose()


def install(
    folder: Path,
    url: str,
    server: object,
    relay_port: int,
    *,
    archive: bool = True,
    trust: str = "",
    limit: str = "25MB",
    policy: str = "",
    contracts: bool = False,
    public_url: str = "http://127.0.0.1:8099",
    bounce: str = "",
) -> Installation:
    """Write the configuration, make the schema, import the sample directory."""
    eu, com = server.mailbox(), server.mailbox()  # type: ignore[attr-defined]  # pymap's or Dovecot's
    places = [("partners-com", COM, com, '"us", "in", "au", "jp", "za", "ca"'), ("partners-eu", EU, eu, '"eu", "uk"')]
    select = server.mailbox() if contracts else None  # type: ignore[attr-defined]  # pymap's or Dovecot's
    if select is not None:
        places.append(("select", SELECT, select, '"eu", "uk", "us"'))
    written = "".join(
        _MAILBOX.format(
            name=name,
            desk="contracts" if box is select else "support",
            address=address,
            regions=regions,
            port=box.port,
            username=box.username,
            archive='archive = "Processed"' if archive else "",
        )
        for name, address, box, regions in places
    )
    for name in ("policy.toml", "catalogue.toml"):
        shutil.copy(settings.shipped("config") / name, folder / name)
    if policy:
        (folder / "policy.toml").write_text(policy)
    config = folder / "triaged.toml"
    config.touch(mode=0o600)
    config.write_text(
        _CONFIG.format(
            url=url,
            mailboxes=written,
            smtp=relay_port,
            trust=trust,
            limit=limit,
            public_url=public_url,
            bounce=f'[bounce]\nmailbox = "{bounce}"' if bounce else "",
        )
    )
    app = composition.load(config)
    composition.upgrade(app)
    demo.import_samples(app)
    return Installation(app, config, eu, com, select)


def mail(
    body: str,
    *,
    number: int = 1,
    sender: str = "contact@integra.example",
    subject: str = "Question",
    signed: bool = True,
    extra: str = "",
) -> bytes:
    """A partner's mail as the border server handed it over; `number` makes its Message-ID."""
    domain = sender.rpartition("@")[2]
    return (
        (SIGNED.format(domain=domain) if signed else "")
        + f"Received: from mail.{domain} by mx.vendor.example with ESMTPS id {number:08d}; "
        f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} +0000\r\n"
        f"From: Contact <{sender}>\r\nTo: {EU}\r\nSubject: {subject}\r\nMessage-ID: <{number}@{domain}>\r\n"
        f"Date: {datetime.now(UTC):%a, %d %b %Y %H:%M:%S} +0000\r\n{extra}"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        + body.replace("\n", "\r\n")
    ).encode()


def to(sink: smtp_sink.SmtpSink, address: str) -> list[bytes]:
    """The mails that the relay took for `address`."""
    return [one.content for one in sink.deliveries if one.recipients == (address,)]
