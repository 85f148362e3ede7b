"""Intake: what lies in a mailbox becomes rows of the ledger, and nothing else happens here (DESIGN §4.1).

The order is the guarantee: fetch a batch, store its bytes and the cursor in one transaction, commit, and only then
archive or flag on the server, which is courtesy. What a stop left untidy is tidied at the next poll.
"""

import contextlib
import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from triaged import log
from triaged.adapters import imap
from triaged.adapters.db import engine, leases, ledger
from triaged.domain.errors import PermanentError, TransientError

BATCH_MAILS, BATCH_BYTES = 50, 8 << 20
TIDY_BATCH = 200
WINDOW = 5_000  # UIDs per SEARCH: its answer is one line, and lines have limits
LISTED = 500  # UIDs per FETCH of sizes: a command line has limits too
TRIES = 3  # for a mail that the server shows but does not hand out
AGAIN = 5.0  # seconds until the next of these tries
DROPS = 10  # for a mail at which the server drops the connection; networks do that, too, so more of them
LONGEST_IDLE = 300.0
ELSEWHERE = "elsewhere"  # another host polls this mailbox
_INCARNATION = 2**32  # UIDVALIDITY has 32 bits; a folder made anew under the same value counts in the bits above

_TURN = 1.0  # seconds that we wait for a mailbox before looking whether to stop
_NETWORK = (1.0, 60.0)  # first and longest pause in seconds
_REFUSED = (60.0, 900.0)  # a log-in that is tried too often gets locked


class Mailbox(imap.Mailbox, Protocol):
    """What of `[[mailbox]]` (INTERFACE §1) intake needs."""

    @property
    def poll(self) -> timedelta: ...
    @property
    def idle(self) -> bool: ...


class Tenure(Protocol):
    """The right to poll a mailbox, alone among all hosts (workflows/sharing.py)."""

    def wait(self, seconds: float) -> bool:
        """Whether it is ours now, waiting up to these seconds for it."""

    def mine(self) -> bool:
        """Whether to go on."""

    def check(self, session: engine.Session) -> None:
        """In every transaction of ours. Raises leases.Lost, which rolls it back."""

    def leave(self) -> None:
        """Let others have it."""


class Alone:
    """Nobody else is there to poll."""

    def wait(self, seconds: float) -> bool:  # it is ours already
        return True

    def mine(self) -> bool:
        return True

    def check(self, session: engine.Session) -> None:
        pass

    def leave(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Intake:
    """One mailbox, and where its mail goes. `wake` is called after each commit of new mail; `progress` gets the
    mailbox's name and its state at every turn, for `status`; `pulse` is told how long the next step may take, for the
    watchdog; `stop` ends a poll between batches."""

    mailbox: Mailbox
    database: engine.Database
    limit: int  # bytes: a larger mail is taken header-only
    now: Callable[[], datetime]
    wake: Callable[[], None] = lambda: None
    progress: Callable[[str, Mapping[str, object]], None] = lambda _name, _state: None
    stop: threading.Event = field(default_factory=threading.Event)
    rescue: Callable[[imap.Connection], int] = lambda _connection: 0  # after the first poll: mails to poll once more
    unrescued: list[str] = field(default_factory=list)  # why that was refused; not tried again
    deadlines: imap.Deadlines = imap.DEADLINES
    tries: Counter[int] = field(default_factory=Counter)  # UIDs that were shown but not handed out
    drops: Counter[int] = field(default_factory=Counter)  # UIDs whose fetch never came back; fetched alone from then
    tenure: Tenure = field(default_factory=Alone)
    pulse: imap.Pulse = lambda _seconds: None


@dataclass(frozen=True, slots=True)
class Polled:
    """What a poll did."""

    stored: int = 0
    tidied: int = 0
    vanished: int = 0  # gone between SEARCH and FETCH: somebody moved or deleted them
    withheld: int = 0  # recorded without bytes: the server shows them but hands nothing out
    waiting: bool = False  # stopped before a mail that the server does not hand out yet
    untidy: str = ""  # why mails could not be archived or flagged

    def __add__(self, later: "Polled") -> "Polled":
        return Polled(
            self.stored + later.stored,
            self.tidied + later.tidied,
            self.vanished + later.vanished,
            self.withheld + later.withheld,
            self.waiting or later.waiting,
            self.untidy or later.untidy,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """From where to read: the ledger's uidvalidity, the last UID stored, the last UID there is (None: unknown)."""

    uidvalidity: int
    cursor: int
    end: int | None


def poll(intake: Intake, connection: imap.Connection) -> Polled:
    """Store everything above the cursor, batch by batch; tidy what is stored.

    Raises TransientError and PermanentError; what was committed before stays, and the next poll goes on from there."""
    place = _find_place(intake, connection.select())
    polled = _tidy(intake, connection, place.uidvalidity)
    for batch in _batches(intake, connection, place):
        _report(intake, "polling", upto=batch[-1].uid)
        polled += _take(intake, connection, place.uidvalidity, batch)
        if not polled.untidy:
            polled += _tidy(intake, connection, place.uidvalidity)
        if polled.waiting or not _goes_on(intake):
            return polled
    _pass_gap(intake, place)
    return polled


def _goes_on(intake: Intake) -> bool:
    return not intake.stop.is_set() and intake.tenure.mine()


@contextlib.contextmanager
def _ours(intake: Intake) -> Iterator[engine.Session]:
    """A transaction that is rolled back when another host has taken the mailbox over. Raises leases.Lost."""
    with intake.database.write() as session:
        intake.tenure.check(session)
        yield session


def _find_place(intake: Intake, selected: imap.Selected) -> _Place:
    """Compare the folder with what we know of it: go on after the last UID, or begin."""
    end = selected.uidnext - 1 if selected.uidnext else None
    with intake.database.read() as session:
        known = ledger.position(session, intake.mailbox.name)
    if known and known.uidvalidity % _INCARNATION == selected.uidvalidity and (end is None or end >= known.last_uid):
        return _Place(known.uidvalidity, known.last_uid, end)
    return _Place(_begin(intake, selected, known), 0, end)


def _begin(intake: Intake, selected: imap.Selected, known: ledger.Position | None) -> int:
    """A new folder, or one that was made anew on the server: read from its first mail, under a uidvalidity that no
    row has yet, because the same UID may now be another mail. Mail that is known by its bytes becomes a duplicate."""
    name = intake.mailbox.name
    with _ours(intake) as session:
        newest = ledger.newest_incarnation(session, name, selected.uidvalidity)
        uidvalidity = selected.uidvalidity if newest is None else newest + _INCARNATION
        ledger.advance(session, name, uidvalidity, 0, intake.now())
    intake.tries.clear()
    intake.drops.clear()
    if known:
        was = f"{known.uidvalidity % _INCARNATION}/{known.last_uid}"
        found = f"{selected.uidvalidity}/{(selected.uidnext or 1) - 1}"
        log.warning("", mailbox=name, state="renumbered", was=was, found=found, reason=_RENUMBERED)
    return uidvalidity


_RENUMBERED = "the folder was made anew on the server: it is read from its first mail, known mail is recognised"


def _batches(intake: Intake, connection: imap.Connection, place: _Place) -> Iterator[list[imap.Listed]]:
    """Mails above the cursor in the order of their UIDs, bounded in count and bytes; an oversized one is alone."""
    for first, last in _windows(place):
        uids = connection.uids(first, last)
        for start in range(0, len(uids), LISTED):
            yield from _bounded(connection.listing(uids[start : start + LISTED]), intake.limit, intake.drops)


def _windows(place: _Place) -> Iterator[tuple[int, int | None]]:
    if place.end is None:
        yield place.cursor + 1, None
        return
    for first in range(place.cursor + 1, place.end + 1, WINDOW):
        yield first, min(first + WINDOW - 1, place.end)


def _bounded(listed: Sequence[imap.Listed], limit: int, drops: Container[int]) -> Iterator[list[imap.Listed]]:
    def alone(mail: imap.Listed) -> bool:
        return mail.size > limit or mail.uid in drops

    batch: list[imap.Listed] = []
    for mail in listed:
        full = len(batch) == BATCH_MAILS or sum(one.size for one in batch) + mail.size > BATCH_BYTES
        if batch and (full or alone(mail) or alone(batch[0])):
            yield batch
            batch = []
        batch.append(mail)
    if batch:
        yield batch


def _take(intake: Intake, connection: imap.Connection, uidvalidity: int, batch: Sequence[imap.Listed]) -> Polled:
    """Fetch a batch and commit it with the cursor.

    The cursor never passes a mail that the server shows but does not hand out: we stop before it, and after TRIES
    polls record it without bytes, so that a person finds it in quarantine; it stays in the folder. The same goes for
    a mail at which the connection is dropped each time, or the mails behind it would never be read."""
    bodies = _bodies(intake, connection, batch)
    missing = [mail.uid for mail in batch if mail.uid not in bodies]
    present = _still_there(connection, missing)
    intake.tries.update(present)
    hopeful = (uid for uid in present if intake.tries[uid] < TRIES and intake.drops[uid] < DROPS)
    stop = min(hopeful, default=None)
    reached = [mail for mail in batch if stop is None or mail.uid < stop]
    withheld = {mail.uid for mail in reached} & present
    mails = [_fetched(intake, mail, bodies.get(mail.uid, b"")) for mail in reached if mail.uid in {*bodies, *present}]
    stored = _store(intake, uidvalidity, mails, withheld)
    vanished = len(missing) - len(present)
    return Polled(stored=stored, vanished=vanished, withheld=len(withheld), waiting=stop is not None)


def _bodies(intake: Intake, connection: imap.Connection, batch: Sequence[imap.Listed]) -> dict[int, bytes]:
    uids = [mail.uid for mail in batch]
    if intake.drops[uids[0]] >= DROPS:
        return {}
    intake.drops.update(uids)
    if batch[0].size > intake.limit:
        header = connection.header(uids[0])
        found = {} if header is None else {uids[0]: header}
    else:
        found = connection.bodies(uids, sum(mail.size for mail in batch))
    for uid in uids:
        del intake.drops[uid]
    return found


def _still_there(connection: imap.Connection, uids: Sequence[int]) -> set[int]:
    return set(connection.uids(uids[0], uids[-1])) & set(uids) if uids else set()


def _fetched(intake: Intake, mail: imap.Listed, raw: bytes) -> ledger.Fetched:
    return ledger.Fetched(mail.uid, raw, mail.size, mail.received_at or intake.now(), mail.size > intake.limit)


def _store(intake: Intake, uidvalidity: int, mails: Sequence[ledger.Fetched], withheld: set[int]) -> int:
    """One transaction: rows, bytes, cursor. Nothing was marked on the server before it, anything may be after it."""
    if not mails:
        return 0
    with _ours(intake) as session:
        rows = ledger.admit(session, intake.mailbox.name, uidvalidity, mails, intake.now())
        ledger.tidied(session, [row.id for row in rows if row.uid in withheld], intake.now())
    for uid in withheld:
        log.error("", mailbox=intake.mailbox.name, state="withheld", uid=uid, reason=_WITHHELD)
    if rows:
        intake.wake()
    return len(rows)


_WITHHELD = "the server lists this mail but hands out no bytes of it; look at it there, it is in quarantine here"


def _tidy(intake: Intake, connection: imap.Connection, uidvalidity: int) -> Polled:
    """Archive or flag what is committed, then note it; a stop in between repeats the harmless half."""
    done = 0
    while rows := _untidied(intake, uidvalidity):
        if refusal := connection.tidy([uid for _, uid in rows]):
            return Polled(tidied=done, untidy=refusal)
        with _ours(intake) as session:
            ledger.tidied(session, [row for row, _ in rows], intake.now())
        done += len(rows)
    return Polled(tidied=done)


def _untidied(intake: Intake, uidvalidity: int) -> tuple[tuple[int, int], ...]:
    with intake.database.read() as session:
        return ledger.untidied(session, intake.mailbox.name, uidvalidity, TIDY_BATCH)


def _pass_gap(intake: Intake, place: _Place) -> None:
    """UIDs below UIDNEXT that are not there will never be: the next poll need not look for them again."""
    with intake.database.read() as session:
        position = ledger.position(session, intake.mailbox.name)
    if place.end is not None and position and position.last_uid < place.end:
        with _ours(intake) as session:
            ledger.advance(session, intake.mailbox.name, place.uidvalidity, place.end, intake.now())


def drain(intake: Intake) -> Polled:
    """Store and tidy everything that is there now, for `run --once`. Raises TransientError and PermanentError."""
    connection = _connect(intake)
    try:
        polled = latest = poll(intake, connection)
        if _rescued(intake, connection):
            polled += (latest := poll(intake, connection))
        while latest.waiting and not intake.stop.is_set():
            latest = poll(intake, connection)
            polled += latest
        return polled
    finally:
        connection.close()


def _rescued(intake: Intake, connection: imap.Connection) -> bool:
    """Bring back what a restore left in the archive; returns whether to poll once more. What the server refuses is told
    once and not tried again: new mail is not to wait for it."""
    if intake.unrescued:
        return False
    try:
        return intake.rescue(connection) > 0
    except PermanentError as error:
        intake.unrescued.append(str(error))
        log.error("", mailbox=intake.mailbox.name, state="not rescued", reason=str(error), fix=_RESCUE)
        return True  # the archive is open still


_RESCUE = "give us the right to move mail out of the archive, then restart"


def watch(intake: Intake, jitter: Callable[[], float] = random.random) -> None:
    """The life of a mailbox's thread: connect, poll, wait, until `stop`; after an error back off and begin anew.

    A mailbox that hangs keeps only itself waiting: each has its thread and its connection. It is polled only while it
    is ours; when it is no longer, the connection is dropped and we wait for it again."""
    patience = Patience(jitter)
    while not intake.stop.is_set():
        intake.pulse(_TURN)
        if not intake.tenure.wait(_TURN):
            _report(intake, ELSEWHERE)
            continue
        try:
            _serve(intake, patience)
        except leases.Lost as error:
            log.warning("", mailbox=intake.mailbox.name, state="lost", reason=str(error))
        except (TransientError, PermanentError) as error:
            pause = _back_off(intake, patience, error)
            intake.pulse(pause)
            intake.stop.wait(pause)
        if not _goes_on(intake):
            intake.tenure.leave()
    _report(intake, "stopped")


def _back_off(intake: Intake, patience: "Patience", error: TransientError | PermanentError) -> float:
    pause = patience.pause(error)
    attempt, again = patience.attempt, f"{pause:.0f}s"
    log.warning("", mailbox=intake.mailbox.name, state="backoff", reason=str(error), attempt=attempt, next=again)
    _report(intake, "backoff", reason=str(error), attempt=attempt, next=again)
    return pause


def _serve(intake: Intake, patience: "Patience") -> None:
    """One connection, from log-in to the first error or the stop."""
    _report(intake, "connecting")
    connection = _connect(intake)
    try:
        untidy, begun = "", False
        while _goes_on(intake):
            due = time.monotonic() + intake.mailbox.poll.total_seconds()
            polled = poll(intake, connection)
            if not begun and _rescued(intake, connection):
                polled += poll(intake, connection)
            begun = True
            if polled.untidy != untidy:
                untidy = polled.untidy
                _tell(intake, "untidy" if untidy else "tidy", reason=untidy)
            _report(intake, "waiting", reason=untidy)
            _wait(intake, connection, min(due, time.monotonic() + AGAIN) if polled.waiting else due)
            patience.forget()
    finally:
        connection.close()


def _connect(intake: Intake) -> imap.Connection:
    """A connection with its folder open and its archive there; how it tidies is logged."""
    connection = imap.connect(intake.mailbox, 2 * intake.limit + imap.HEADER_CAP, intake.deadlines, intake.pulse)
    try:
        connection.select()
        if refusal := connection.make_archive():
            _tell(intake, "untidy", reason=refusal)
    except (TransientError, PermanentError):
        connection.close()
        raise
    idles = connection.can_idle and intake.mailbox.idle
    log.event("", mailbox=intake.mailbox.name, state="connected", tidy=connection.tidying, idle=idles)
    return connection


def _wait(intake: Intake, connection: imap.Connection, due: float) -> None:
    """Until the next poll is due, or IDLE hears something. IDLE only wakes: the poll is the truth.

    It is begun anew after 1 s, 2 s, 4 s …: servers miss what came in the moment before it (measured: pymap, and Dovecot
    on a Maildir), which is when mails come in a burst; and none is to last longer than RFC 2177 allows."""
    idles, heard, longest = intake.mailbox.idle and connection.can_idle, False, 1.0
    while not heard and not intake.stop.is_set() and (left := due - time.monotonic()) > 0:
        if idles:
            heard = connection.idle(min(left, longest), intake.stop)
            longest = min(2 * longest, LONGEST_IDLE)
        else:
            intake.pulse(left)
            intake.stop.wait(left)


def _tell(intake: Intake, state: str, reason: str) -> None:
    log.warning("", mailbox=intake.mailbox.name, state=state, reason=reason)
    _report(intake, state, reason=reason)


def _report(intake: Intake, state: str, **values: object) -> None:
    unrescued = {"unrescued": intake.unrescued[0]} if intake.unrescued else {}
    intake.progress(intake.mailbox.name, {"state": state, "at": intake.now(), **unrescued, **values})


class Patience:
    """How long to wait after an error: doubled each time up to a ceiling, up to a quarter less by chance, so that
    mailboxes do not come back all at once. What a person must mend is tried more slowly than a network."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self.attempt = 0
        self._jitter, self._pace = jitter, _NETWORK

    def pause(self, error: TransientError | PermanentError) -> float:
        """Seconds to wait after this error."""
        pace = _REFUSED if isinstance(error, PermanentError) else _NETWORK
        self.attempt = self.attempt + 1 if pace == self._pace else 1
        self._pace = pace
        first, longest = pace
        return min(longest, math.ldexp(first, min(self.attempt - 1, 16))) * (1 - self._jitter() / 4)

    def forget(self) -> None:
        """It works again: the next error is a first one."""
        self.attempt = 0
