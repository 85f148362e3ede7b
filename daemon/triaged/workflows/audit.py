"""Audit: proves that nothing was lost and nothing stands still (DESIGN §4.5, row N1), and names what does not add up.

It reads servers and tables and changes neither. The server is listed before the ledger is read, so mail that a daemon
stores and moves meanwhile is no difference; and what looks like one is looked at again after a moment.
"""

import contextlib
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from triaged import log
from triaged.adapters import imap
from triaged.adapters.db import conservation, contract_conservation, engine, hosts, inspections, ledger, soundness
from triaged.adapters.db.conservation import Ground
from triaged.domain.accounting import UNSEEN, Check, Difference, Page
from triaged.domain.errors import PermanentError, TransientError
from triaged.mail import identity
from triaged.settings import Mailbox, Settings

NAME = "audit"  # in the table of inspections
SINCE = timedelta(days=7)  # how far back the archive is looked at
PAUSE = 3.0  # seconds before a suspect is looked at again
WINDOW = 5_000  # UIDs per SEARCH: its answer is one line, and lines have limits
LISTED = 500  # UIDs per FETCH
_PATIENCE = timedelta(minutes=10)  # beyond a few polls: mail that waits longer in a folder is not polled
_POLLS = ("polling", "waiting", "untidy", "tidy")  # states of a mailbox whose thread gets through
_INCARNATION = 2**32  # see workflows/intake.py: a folder made anew under the same UIDVALIDITY counts above 32 bits
_TOLD = 50  # differences that the log names one by one


@dataclass(frozen=True, slots=True)
class Depth:
    """How far to look: `offline` asks no server, `deep` verifies all stored bytes and not only tonight's share,
    `since` is how far back the archive is looked at."""

    offline: bool = False
    deep: bool = False
    since: timedelta = SINCE
    pause: float = PAUSE


@dataclass(slots=True)
class Look:
    """What one look over one thing found."""

    looked_at: Counter[Check] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    facts: Counter[str] = field(default_factory=Counter)
    unreachable: str = ""

    def add(self, page: Page) -> None:
        self.looked_at.update(page.looked_at)
        self.differences.extend(page.differences)
        self.facts.update(page.facts)


@dataclass(frozen=True, slots=True)
class Audited:
    """The result: every check with how many things it looked at, every difference, what was counted besides, and
    which mailboxes could not be looked at, and why."""

    at: datetime
    looked_at: Mapping[Check, int]
    differences: tuple[Difference, ...]
    facts: Mapping[str, int]
    unreachable: tuple[str, ...]

    @property
    def clean(self) -> bool:
        return not (self.differences or self.unreachable)

    def document(self) -> dict[str, Any]:
        """`audit --json`."""
        wrong = Counter(one.check for one in self.differences)
        return {
            "clean": self.clean,
            "at": self.at,
            "checks": [
                {"name": check.value, "looked_at": number, "differences": wrong[check]}
                for check, number in self.looked_at.items()
            ],
            "differences": [one.document() for one in self.differences],
            "facts": dict(self.facts),
            "unreachable": list(self.unreachable),
        }


def audit(
    database: engine.Database,
    settings: Settings,
    clock: Callable[[], datetime],
    depth: Depth = Depth(),
    stop: threading.Event | None = None,
) -> Audited:
    """Look at everything, wait a moment, look again at what seemed wrong; only what is wrong both times is.

    `stop` ends the moment early. Raises TransientError and PermanentError where the database cannot be read."""
    house = _House(database, settings, clock, depth)
    looks = house.looks()
    found = [look() for look in looks]
    if any(one.differences for one in found):
        (stop or threading.Event()).wait(depth.pause)
        found = [_confirmed(one, look()) if one.differences else one for one, look in zip(found, looks, strict=True)]
    total = Look()
    for one in found:
        total.add(Page(None, one.looked_at, tuple(one.differences), one.facts))
    checks = {check: total.looked_at[check] for check in Check if check in total.looked_at}
    unreachable = tuple(one.unreachable for one in found if one.unreachable)
    audited = Audited(clock(), checks, tuple(total.differences), dict(sorted(total.facts.items())), unreachable)
    if not depth.offline:
        _keep(database, audited)
    return audited


def _confirmed(first: Look, second: Look) -> Look:
    return replace(second, differences=[one for one in second.differences if one in first.differences])


def _keep(database: engine.Database, audited: Audited) -> None:
    problems = [one.sentence() for one in audited.differences]
    problems += [f"{UNSEEN}{reason}" for reason in audited.unreachable]
    with database.write() as session:
        inspections.store(session, NAME, audited.at, problems)


def nightly(
    database: engine.Database, settings: Settings, clock: Callable[[], datetime], stop: threading.Event
) -> Audited:
    """The same as a job: every difference is an error in the log."""
    audited = audit(database, settings, clock, stop=stop)
    for one in audited.differences[:_TOLD]:
        log.error("difference", check=one.check, text=one.text, fix=one.fix)
    for reason in audited.unreachable:
        log.error("difference", check=Check.SERVER, text=f"{UNSEEN}{reason}")
    tell = log.event if audited.clean else log.error
    tell(NAME, differences=len(audited.differences), mails=audited.looked_at.get(Check.DECISIONS, 0))
    return audited


@dataclass(frozen=True, slots=True)
class _House:
    database: engine.Database
    settings: Settings
    clock: Callable[[], datetime]
    depth: Depth

    def looks(self) -> list[Callable[[], Look]]:
        """Servers first: what they show now must be in the tables then."""
        servers = [] if self.depth.offline else [partial(self._mailbox, one) for one in self.settings.mailboxes]
        tables = (
            self._paged(conservation.messages),
            self._paged(conservation.standstill),
            self._paged(self._damaged),
            self._paged(conservation.tickets),
            self._paged(conservation.twins),
            self._paged(conservation.queue),
            self._paged(conservation.overdue),
            self._paged(contract_conservation.orders),
            self._paged(contract_conservation.contracts),
            self._paged(contract_conservation.invitations),
            self._file,
        )
        return [*servers, *tables]

    def _ground(self) -> Ground:
        desks = {mailbox.name: mailbox.desk for mailbox in self.settings.mailboxes}
        with self.database.read() as session:
            return conservation.ground(session, self.clock(), desks)

    def _paged(self, read: Callable[[engine.Session, Ground, int], Page]) -> Callable[[], Look]:
        """A look over a table, one short transaction for each page."""

        def look() -> Look:
            found, on, after = Look(), self._ground(), 0
            while True:
                with self.database.read() as session:
                    page = read(session, on, after)
                found.add(page)
                if page.last is None:
                    return found
                after = page.last

        return look

    def _damaged(self, session: engine.Session, on: Ground, after: int) -> Page:
        return conservation.damaged(session, after, None if self.depth.deep else on.now.toordinal())

    def _file(self) -> Look:
        """SQLite's own word on its file; PostgreSQL looks after its own."""
        if self.database.dialect != "sqlite":
            return Look()
        told = soundness.whole(self.database)
        fix = "Restore the database from a backup, and look at the disk"
        found = [Difference(Check.DATABASE, f"SQLite: {text}", fix, about=text) for text in told]
        return Look(Counter({Check.DATABASE: 1}), found)

    def _mailbox(self, mailbox: Mailbox) -> Look:
        """A mailbox against its ledger; a server that cannot be reached is named, and the rest is looked at."""
        found = Look()
        try:
            with _connected(mailbox, self.settings.limits.message) as connection:
                _Folder(self, mailbox, connection, found).compare()
                if mailbox.archive:
                    _Archive(self, mailbox, connection, found).compare(mailbox.archive)
        except (TransientError, PermanentError) as error:
            found.unreachable = str(error)  # the database's own trouble shows again at the tables, and ends the audit
        return found


@contextlib.contextmanager
def _connected(mailbox: Mailbox, limit: int) -> Iterator[imap.Connection]:
    connection = imap.connect(mailbox, 2 * limit + imap.HEADER_CAP)
    try:
        yield connection
    finally:
        connection.close()


def _windows(uidnext: int | None) -> Iterator[tuple[int, int | None]]:
    if uidnext is None:
        yield 1, None
        return
    for first in range(1, uidnext, WINDOW):
        yield first, min(first + WINDOW, uidnext) - 1


# --- the folder -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Folder:
    """Every UID up to the cursor has its row; those above it wait, and not for long."""

    house: _House
    mailbox: Mailbox
    connection: imap.Connection
    found: Look

    def compare(self) -> None:
        before = self._position()
        selected = self.connection.examine(self.mailbox.folder)
        if selected is None:
            raise PermanentError(
                f"{self.mailbox.name}: there is no folder {self.mailbox.folder!r}. Correct folder of [[mailbox]]"
            )
        if before is not None and _made_anew(before, selected):
            self.found.differences.append(self._renumbered(before, selected))
            return
        waiting: list[int] = []
        for first, last in _windows(selected.uidnext):
            waiting += self._window(first, last)
        self.found.facts["mails waiting on servers"] += len(waiting)
        if waiting:
            self._too_long(waiting)

    def _position(self) -> ledger.Position | None:
        with self.house.database.read() as session:
            return ledger.position(session, self.mailbox.name)

    def _window(self, first: int, last: int | None) -> list[int]:
        """Compare a window of UIDs; returns those above the cursor."""
        uids = self.connection.uids(first, last)
        with self.house.database.read() as session:
            place = ledger.position(session, self.mailbox.name) or ledger.Position(0, 0)
            known, untidied = conservation.known(session, self.mailbox.name, place.uidvalidity, first, last)
        missing = [uid for uid in uids if uid <= place.last_uid and uid not in known]
        self.found.differences.extend(self._missing(place.uidvalidity, uid) for uid in missing)
        self.found.looked_at[Check.SERVER] += len(uids)
        self.found.facts["mails gone from folders before they were marked"] += len(untidied - set(uids))
        return [uid for uid in uids if uid > place.last_uid]

    def _missing(self, uidvalidity: int, uid: int) -> Difference:
        text = f"{self.mailbox.name}: UID {uidvalidity}/{uid} lies in the folder, and the ledger has no row of it"
        fix = "Move the mail out of the folder and back into it: it gets a new UID, and is read"
        return Difference(Check.SERVER, text, fix, self.mailbox.name, uidvalidity, uid)

    def _renumbered(self, before: ledger.Position, selected: imap.Selected) -> Difference:
        was, end = f"{before.uidvalidity % _INCARNATION}/{before.last_uid}", (selected.uidnext or 1) - 1
        text = (
            f"{self.mailbox.name}: the folder was made anew on the server (UID {was} before, now "
            f"{selected.uidvalidity}/{end}), and no poll has seen it yet: its mails were not compared"
        )
        fix = "The next poll reads it from its first mail and recognises what is known; then audit again"
        return Difference(Check.SERVER, text, fix, self.mailbox.name, selected.uidvalidity)

    def _too_long(self, waiting: Sequence[int]) -> None:
        """Mail above the cursor is being fetched, unless nobody polls."""
        arrived = [one.received_at for one in self.connection.listing(waiting[:LISTED]) if one.received_at]
        oldest, now = min(arrived, default=None), self.house.clock()
        patience = _PATIENCE + 3 * self.mailbox.poll
        if oldest is None or oldest > now - patience or self._is_polled(now):
            return
        text = (
            f"{self.mailbox.name}: {len(waiting)} mails wait in the folder, the oldest since "
            f"{oldest:%Y-%m-%d %H:%M} UTC: UID {ranges(waiting)}"
        )
        fix = "Nobody polls: see `triaged status`, start `triaged run`"
        self.found.differences.append(
            Difference(Check.SERVER, text, fix, self.mailbox.name, self._uidvalidity(), waiting[0])
        )

    def _uidvalidity(self) -> int | None:
        place = self._position()
        return place.uidvalidity if place else None

    def _is_polled(self, now: datetime) -> bool:
        """Whether a living daemon has got through to this mailbox lately."""
        lately = now - 3 * self.mailbox.poll - timedelta(minutes=1)
        with self.house.database.read() as session:
            alive = hosts.alive(session)
            told = [one.status.get(self.mailbox.name) or {} for one in hosts.listed(session) if one.id in alive]
        return any(one.get("state") in _POLLS and _instant(one.get("at")) > lately for one in told)


def _made_anew(before: ledger.Position, selected: imap.Selected) -> bool:
    """As intake sees it: another UIDVALIDITY, or fewer UIDs than were stored."""
    other = before.uidvalidity % _INCARNATION != selected.uidvalidity
    return other or (selected.uidnext is not None and selected.uidnext - 1 < before.last_uid)


def _instant(text: object) -> datetime:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def ranges(uids: Sequence[int], most: int = 20) -> str:
    """UIDs as IMAP writes them, `3:5,9`; at most so many ranges."""
    found: list[tuple[int, int]] = []
    for uid in uids:
        if found and uid == found[-1][1] + 1:
            found[-1] = (found[-1][0], uid)
        else:
            found.append((uid, uid))
    written = [str(first) if first == last else f"{first}:{last}" for first, last in found[:most]]
    return ",".join(written) + ("…" if len(found) > most else "")


# --- the archive ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Archive:
    """What arrived lately and lies in the archive was seen by us: whoever moves a mail there before we saw it hides it.

    Arrival and size tell most; only what the ledger does not have under both is fetched, and told by its bytes."""

    house: _House
    mailbox: Mailbox
    connection: imap.Connection
    found: Look

    def compare(self, folder: str) -> None:
        with self.house.database.read() as session:
            began = conservation.began(session, self.mailbox.name)
        selected = self.connection.examine(folder)
        if selected is None or began is None:
            return
        since = max(began.replace(microsecond=0), self.house.clock() - self.house.depth.since)
        day = since.date() - timedelta(days=1)  # SINCE goes by the server's calendar
        for first, last in _windows(selected.uidnext):
            uids = self.connection.uids(first, last, day)
            for start in range(0, len(uids), LISTED):
                listed = self.connection.listing(uids[start : start + LISTED])
                self._chunk(selected, [one for one in listed if one.received_at is None or one.received_at >= since])

    def _chunk(self, selected: imap.Selected, listed: Sequence[imap.Listed]) -> None:
        self.found.looked_at[Check.ARCHIVE] += len(listed)
        arrived = [one.received_at for one in listed if one.received_at]
        with self.house.database.read() as session:
            known: Counter[tuple[datetime | None, int]] = Counter()
            if arrived:
                known.update(conservation.arrivals(session, self.mailbox.name, min(arrived), max(arrived)))
        lying = Counter((one.received_at, one.size) for one in listed)
        for one in listed:
            pair = (one.received_at, one.size)
            if lying[pair] > known[pair] and not self._is_known(one):
                self.found.differences.append(self._stranger(selected.uidvalidity, one))

    def _is_known(self, one: imap.Listed) -> bool:
        limit = self.house.settings.limits.message
        if one.size > limit:
            raw = self.connection.header(one.uid)
        else:
            raw = self.connection.bodies([one.uid], one.size).get(one.uid)
        if raw is None:  # gone meanwhile
            return True
        with self.house.database.read() as session:
            return conservation.seen(session, hashlib.sha256(raw).hexdigest(), identity.content_hash(raw))

    def _stranger(self, uidvalidity: int, one: imap.Listed) -> Difference:
        arrived = f"{one.received_at:%Y-%m-%d %H:%M} UTC" if one.received_at else "some time"
        text = (
            f"{self.mailbox.name}: UID {uidvalidity}/{one.uid} of the archive {self.mailbox.archive} "
            f"({one.size} bytes, arrived {arrived}) is not in the ledger: somebody moved it there before it was read"
        )
        fix = f"Move it into {self.mailbox.folder} to have it handled, or out of the archive"
        return Difference(Check.ARCHIVE, text, fix, self.mailbox.name, uidvalidity, one.uid)
