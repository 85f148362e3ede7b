"""One small installation, put back to its beginning for every fault; and the invariants I1-I7, computed from the list
of mails that went in and from what the relay took, never from what our tables say was sent."""

import hashlib
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy
import zstandard
from tests.house import desk
from tests.servers import accounts, imap_dovecot, imap_pymap, smtp_sink
from tests.servers.crashes import Crash, Life, Nursery, Order

COMPLETE = "Service : Zoho CRM\nSuper administrateur : it@acme.example\n"
TEAM = "support-eu@vendor.example"
PARTNER = "contact@integra.example"
QUIET = 20 * 60.0  # seconds; longer than an uncertain mail rests


@dataclass(frozen=True)
class Input:
    """A mail that goes in: which mailbox, its bytes, the word of its subject, and whether the team is told as well."""

    mailbox: str
    raw: bytes
    word: str
    alert: bool


def inputs() -> tuple[Input, ...]:
    """Two with one Message-ID and different contents, and one without a Message-ID."""
    again = desk.mail("Bonjour,\n\n" + COMPLETE, number=1, subject="Bravo")
    lacking = re.sub(rb"Message-ID: [^\r]*\r\n", b"", desk.mail("Cela ne marche pas.\n", number=3, subject="Charlie"))
    return (
        Input("eu", desk.mail(COMPLETE, number=1, subject="Alpha"), "Alpha", True),
        Input("eu", again, "Bravo", True),
        Input("com", lacking, "Charlie", False),
    )


class Laboratory:
    """The installation, its servers, and lives in it. `violations()` is empty where everything holds."""

    def __init__(
        self,
        folder: Path,
        url: str,
        server: imap_pymap.Pymap | imap_dovecot.Dovecot,
        sink: smtp_sink.SmtpSink,
        *,
        archive: bool = True,
        mails: Collection[Input] | None = None,
    ) -> None:
        self.mails = tuple(inputs() if mails is None else mails)
        self._server, self._sink = server, sink
        self.house = desk.install(folder, url, server, sink.port, archive=archive)
        self.archive = "Processed" if archive else "INBOX"
        text = self.house.config.read_text()
        self.house.config.write_text(
            text.replace('security = "none"\n[senders', 'security = "none"\nconnections = 1\n[senders')
        )
        self._template = folder / "template.db"
        self._keep()
        self.reset()
        self.nursery = Nursery(self.house.config)

    def stop(self) -> None:
        self.nursery.stop()
        self.house.app.database.dispose()

    # --- the beginning

    def _keep(self) -> None:
        database, self._state = self.house.app.database, self.house.app.settings.service.state_dir
        self._files = {file.name for file in self._state.iterdir()}
        if path := database.path:
            database.dispose()
            shutil.copy(path, self._template)
            return
        with database.write() as session:
            tables = sqlalchemy.inspect(session.connection()).get_table_names()
            self._empty = [t for t in tables if not session.scalar(sqlalchemy.text(f'SELECT 1 FROM "{t}" LIMIT 1'))]

    def reset(self, *, delivered: bool = True) -> None:
        """As on the first day: no mail in the database, the mails in the mailboxes, nothing at the relay."""
        database = self.house.app.database
        for file in self._state.iterdir():  # what a life noted beside the database: it would take ours for a backup
            if file.name not in self._files:
                file.unlink()
        if path := database.path:
            database.dispose()
            for file in path.parent.glob(path.name + "*"):
                file.unlink()
            shutil.copy(self._template, path)
        else:
            with database.write() as session:
                names = ", ".join(f'"{name}"' for name in self._empty)
                session.execute(sqlalchemy.text(f"TRUNCATE {names} RESTART IDENTITY CASCADE"))
        for box in (self.house.eu, self.house.com):
            self._server.empty(box)
        self._sink.deliveries.clear()
        self._sink.commands.clear()
        if delivered:
            self.deliver()

    def deliver(self) -> None:
        """The mails come."""
        for one in self.mails:
            self._server.deliver(self._box(one), one.raw)

    def _box(self, one: Input) -> accounts.Mailbox:
        box: accounts.Mailbox = getattr(self.house, one.mailbox)
        return box

    def taken(self) -> list[smtp_sink.Delivery]:
        """What the relay took since the beginning."""
        return list(self._sink.deliveries)

    # --- lives

    def born(self, order: Order) -> Life:
        return self.nursery.born(order)

    def crash(self, crash: Crash, change: str = "") -> int:
        """A life that ends at a named step; its exit code."""
        return self.nursery.live(Order(crash=crash, change=change))

    def mend(self, change: str = "") -> None:
        """Clean lives until nothing is to be done: one at once, one after an uncertain mail's rest, another for what
        was deferred then."""
        self._bury()
        self.nursery.live(Order(change=change))
        for later in (QUIET, 8 * QUIET):
            if not self._unfinished():
                return
            self._bury(later)
            self.nursery.live(Order(later=later, change=change))

    def _bury(self, later: float = 0.0) -> None:
        """On PostgreSQL nobody may know that the last life is over before its heartbeat is old: it is."""
        database = self.house.app.database
        if database.dialect == "postgresql":
            with database.write() as session:
                session.execute(sqlalchemy.text("DELETE FROM host"))
                if "lease" in sqlalchemy.inspect(session.connection()).get_table_names():
                    session.execute(sqlalchemy.text("UPDATE lease SET until = now() - interval '1 day'"))

    def _unfinished(self) -> int:
        query = "SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'held', 'failed', 'withdrawn')"
        return int(self._one(query))

    def settled(self) -> bool:
        """Every mail has its decision and every answer has gone."""
        waiting = self._one("SELECT count(*) FROM message WHERE state <> 'decided' OR tidied_at IS NULL")
        return self._one("SELECT count(*) FROM message") == len(self.mails) and not waiting and not self._unfinished()

    def doubts(self) -> int:
        """Mails that the last life left between DATA and the relay's answer: each may be sent once more."""
        return int(self._one("SELECT count(*) FROM outbox WHERE state IN ('sending', 'uncertain')"))

    def _one(self, query: str, **values: object) -> Any:
        with self.house.app.database.read() as session:
            return session.scalar(sqlalchemy.text(query), values)

    # --- what must hold

    def moved_too_early(self) -> list[str]:
        """I5, right after a fault: what has left INBOX has its bytes in the database."""
        stored = Counter(self._stored())
        return [
            f"I5 {one.word} is gone from INBOX and not in the database"
            for one in self.mails
            if one.raw not in {raw for _, raw, _ in self._server.mails(self._box(one))} and not stored[one.raw]
        ]

    def violations(self, doubts: int = 0) -> list[str]:
        """Everything that is wrong after the clean lives; `doubts` is how many mails may have been sent once more."""
        return [*self._ledger(), *self._owed(doubts), *self._rest()]

    def _stored(self) -> list[bytes]:
        with self.house.app.database.read() as session:
            packed = session.scalars(sqlalchemy.text("SELECT zstd FROM message_raw")).all()
        unpack = zstandard.ZstdDecompressor().decompress
        return [unpack(bytes(one)) for one in packed]

    def _ledger(self) -> list[str]:
        """I1, I2: each mail is one row, one ticket, its bytes equal; nothing else is there."""
        found = []
        stored = Counter(self._stored())
        for one in self.mails:
            sha256 = hashlib.sha256(one.raw).hexdigest()
            tickets = int(
                self._one("SELECT count(DISTINCT ticket_id) FROM message WHERE sha256 = :sha256", sha256=sha256)
            )
            if stored[one.raw] != 1:
                found.append(f"I1 {one.word} is stored {stored[one.raw]} times")
            if tickets != 1:
                found.append(f"I1 {one.word} has {tickets} tickets")
        for table in ("message", "ticket"):
            if (count := self._one(f"SELECT count(*) FROM {table}")) != len(self.mails):
                found.append(f"I2 {len(self.mails)} mails, {count} rows of {table}")
        return found

    def _owed(self, doubts: int) -> list[str]:
        """I3, I4, I6: each owed mail was taken by the relay, copies are byte-equal and not more than doubts allow, and
        nobody else was written to."""
        found = []
        copies: dict[tuple[str, str], list[bytes]] = defaultdict(list)
        for delivery in self.taken():
            identity = re.search(rb"(?m)^Message-ID: (\S+)", delivery.content)
            copies[delivery.recipients[0], identity[1].decode() if identity else ""].append(delivery.content)
        expected = set()
        for one in self.mails:
            answers = [key for key, of in copies.items() if key[0] == PARTNER and one.word in _subject(of[0])]
            alerts = [
                key
                for key, of in copies.items()
                if key[0] == TEAM and answers and _same_ticket(copies, key, answers[0])
            ]
            if len(answers) != 1:
                found.append(f"I3 {one.word} has {len(answers)} answers")
            if len(alerts) != one.alert:
                found.append(f"I3 {one.word} has {len(alerts)} alerts")
            expected |= {*answers, *alerts}
        found += [f"I6 nobody owed {key}" for key in copies if key not in expected]
        found += [f"I4 copies of {key} differ" for key, of in copies.items() if len(set(of)) != 1]
        more = sum(len(of) - 1 for of in copies.values())
        return found + ([f"I4 {more} copies too many, {doubts} in doubt"] if more > doubts else [])

    def _rest(self) -> list[str]:
        """I7: the database is whole, nothing is stuck, the mailboxes are tidy."""
        found = []
        if self.house.app.database.path:
            if (said := self._one("PRAGMA integrity_check")) != "ok":
                found.append(f"I7 {said}")
            if self._one("SELECT count(*) FROM pragma_foreign_key_check"):
                found.append("I7 a foreign key points nowhere")
        if stuck := self._unfinished():
            found.append(f"I7 {stuck} mails are stuck in the queue")
        if stuck := self._one("SELECT count(*) FROM message WHERE state <> 'decided' OR lease_owner IS NOT NULL"):
            found.append(f"I7 {stuck} mails are stuck before their decision")
        for box in (self.house.eu, self.house.com):
            archived = [raw for _, raw, _ in self._server.mails(box, self.archive)]
            if Counter(archived) != Counter(one.raw for one in self.mails if self._box(one) == box):
                found.append(f"I7 {box.name} has {len(archived)} mails in {self.archive}")
            if self.archive != "INBOX" and self._server.mails(box):
                found.append(f"I7 {box.name} still has mails in INBOX")
        return found


def _subject(content: bytes) -> str:
    match = re.search(rb"(?m)^Subject: ([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)", content)
    return match[1].decode() if match else ""


def _ticket(content: bytes) -> str:
    match = re.search(r"(EU|US)(?:-|=2D)(\d{6})", _subject(content))
    return "-".join(match.groups()) if match else ""


def _same_ticket(copies: dict[tuple[str, str], list[bytes]], one: tuple[str, str], other: tuple[str, str]) -> bool:
    return _ticket(copies[one][0]) == _ticket(copies[other][0]) != ""
