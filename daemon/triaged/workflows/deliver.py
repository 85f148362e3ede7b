"""Deliver: claim what is due, up to RCPT, commit `sending`, DATA, settle (DESIGN §4.3).

Everything that happened since the last commit goes into one: answers are settled, mails that are ready are marked
`sending`, the next are claimed. So the commits are shared by all connections of the pool, none waits for the slowest,
and no DATA leaves before the commit that allows it.
"""

import concurrent.futures
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from triaged import log
from triaged.adapters import smtp
from triaged.adapters.db import outbox
from triaged.adapters.db.engine import Database, Session
from triaged.adapters.db.outbox import Claimed
from triaged.desks.sealed import Renewal, Seals
from triaged.domain import delivery
from triaged.domain.delivery import State
from triaged.domain.errors import PermanentError, TransientError

LEASE = timedelta(minutes=15)  # longer than both phases together
QUIET = timedelta(minutes=15)  # rest of an uncertain mail before its one resend
PATIENCE = 30.0  # seconds that a stop gives DATA in progress
_DELAYS = (1, 5, 15, *(60,) * 48)  # minutes after the n-th attempt: 48 h of trying, not counting a relay that is down
_TICK = 0.5  # seconds until a new mail is seen while others are still under way
_TRIES = 60  # to store an answer, one a second: forgotten, the mail would go out again
_FEW_TRIES = 5  # to store what may be forgotten: two writers that met go on at once

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one round did, by the event of its log lines, and when the next mail is due (None: nothing waits)."""

    counts: Mapping[str, int]
    next_due: datetime | None


def deliver_due(
    database: Database,
    relay: smtp.Relay,
    owner: str,
    clock: Clock,
    stop: threading.Event | None = None,
    *,
    seals: Seals | None = None,
    quiet: timedelta = QUIET,
    patience: float = PATIENCE,
    pulse: Callable[[], None] = lambda: None,
) -> Delivered:
    """Send until nothing is due, or the relay is down, or `stop` is set: then no more is claimed, and DATA in progress
    gets `patience` seconds. `owner` is this process by its heartbeat, one round at a time; `seals` makes the mails that
    hold a secret; `pulse` is called at every turn, for the watchdog.
    Raises TransientError when the database is away."""
    work = _Work(database, relay, owner, clock, stop or threading.Event(), seals, quiet, patience, pulse)
    try:
        work.take_up()
        while work.turn():
            work.wait()
    except TransientError:
        relay.abort()  # what was under way is taken up at the next round: in DATA as a doubt, else as if never tried
        raise
    with database.read() as session:
        due = outbox.oldest_due(session)
    earliest = clock() + timedelta(seconds=relay.waits())
    return Delivered(dict(work.counts), None if due is None else max(due, earliest))


def recover(
    database: Database,
    owner: str,
    clock: Clock,
    quiet: timedelta = QUIET,
    seals: Seals | None = None,
) -> outbox.Recovered:
    """Take back what the dead had claimed; `owner` is us and lives. At every start, and every few seconds."""
    with database.write() as session:
        recovered = outbox.recover(session, owner, clock(), quiet)
        renewals = _renew(session, recovered.doubted, seals, clock(), quiet)
    _tell_recovered(recovered, renewals)
    return recovered


def backoff(row_id: int, attempts: int) -> timedelta | None:
    """How long a mail rests after its n-th attempt was deferred: 1, 5, 15 min, then hourly up to 48 h; None: give up.

    Each mail's own tenth more or less, always the same, so that mails deferred together do not come back together."""
    if attempts > len(_DELAYS):
        return None
    spread = 0.9 + 0.2 * (zlib.crc32(f"{row_id}/{attempts}".encode()) / 0xFFFFFFFF)
    return timedelta(minutes=_DELAYS[max(attempts, 1) - 1] * spread)


@dataclass(frozen=True, slots=True)
class _News:
    """What happened since the last commit."""

    answers: list[tuple[Claimed, delivery.Answer]]
    ready: list[tuple[Claimed, smtp.Ready]]
    untried: list[tuple[Claimed, str | None]]

    def __bool__(self) -> bool:
        return bool(self.answers or self.ready or self.untried)


@dataclass(frozen=True, slots=True)
class _Done:
    """What one commit did."""

    settled: list[tuple[Claimed, delivery.Answer, State | None, datetime | None]]
    sending: frozenset[int]
    opened: "_Opened"
    renewals: Mapping[int, Renewal]


@dataclass(frozen=True, slots=True)
class _Opened:
    """Claimed rows with their bytes; those no longer true, withdrawn; those that could not be made, and why."""

    rows: tuple[Claimed, ...]
    withdrawn: tuple[Claimed, ...]
    failed: tuple[tuple[Claimed, str], ...] = ()


class _Work:
    """What is under way in one round: mails up to RCPT, and mails in DATA. A future leaves only after its commit."""

    def __init__(
        self,
        database: Database,
        relay: smtp.Relay,
        owner: str,
        clock: Clock,
        stop: threading.Event,
        seals: Seals | None,
        quiet: timedelta,
        patience: float,
        pulse: Callable[[], None],
    ) -> None:
        self._database = database
        self._relay = relay
        self._owner = owner
        self._clock = clock
        self._stop = stop
        self._seals = seals
        self._quiet = quiet
        self._patience = patience
        self._pulse = pulse
        self._stopped_at: float | None = None
        self._preparing: dict[Future[smtp.Prepared], Claimed] = {}
        self._sending: dict[Future[delivery.Answer], Claimed] = {}
        self.counts: Counter[str] = Counter()

    def take_up(self) -> None:
        """Rows that an earlier round of ours left claimed, because the database was away."""
        with self._database.read() as session:
            if not outbox.holds(session, self._owner):
                return
        with self._database.write() as session:
            recovered = outbox.recover_from(session, self._owner, self._clock(), self._quiet)
            renewals = _renew(session, recovered.doubted, self._seals, self._clock(), self._quiet)
        _tell_recovered(recovered, renewals)

    def turn(self) -> bool:
        """One commit of all that happened, then on with it. False when nothing is under way any more."""
        self._pulse()
        preparing = {future: row for future, row in self._preparing.items() if future.done()}
        sending = {future: row for future, row in self._sending.items() if future.done()}
        self._preparing = {future: row for future, row in self._preparing.items() if future not in preparing}
        self._sending = {future: row for future, row in self._sending.items() if future not in sending}
        news = self._news(preparing, sending)
        room = self._room(len(news.ready))
        if news or (room and self._due()):
            self._go_on(news, self._store(news, room))
        return bool(self._preparing or self._sending)

    def wait(self) -> None:
        """Until something is answered, or a moment has passed; after a stop, not longer than the patience."""
        under_way: list[Future[Any]] = [*self._preparing, *self._sending]
        concurrent.futures.wait(under_way, _TICK, concurrent.futures.FIRST_COMPLETED)
        if self._stop.is_set():
            self._stopped_at = self._stopped_at or time.monotonic()
            if time.monotonic() - self._stopped_at >= self._patience:
                self._relay.abort()

    def _news(
        self, prepared: Mapping[Future[smtp.Prepared], Claimed], sent: Mapping[Future[delivery.Answer], Claimed]
    ) -> _News:
        news = _News([(row, future.result()) for future, row in sent.items()], [], [])
        for future, row in prepared.items():
            match future.result():
                case smtp.Ready() as ready if self._stop.is_set():
                    self._relay.forget(ready)
                    news.untried.append((row, None))
                case smtp.Ready() as ready:
                    news.ready.append((row, ready))
                case delivery.RelayDown(reason) | delivery.RelayRefusedUs(reason):
                    news.untried.append((row, f"{self._relay.name}: {reason}"))
                case answer:
                    news.answers.append((row, answer))
        return news

    def _room(self, ready: int) -> int:
        if self._stop.is_set() or self._relay.waits():
            return 0
        return max(0, self._relay.connections - len(self._preparing) - len(self._sending) - ready)

    def _due(self) -> bool:
        with self._database.read() as session:
            due = outbox.oldest_due(session)
        return due is not None and due <= self._clock()

    def _store(self, news: _News, room: int) -> _Done:
        """The commit. What the relay answered is known only here, so a database that is away is tried for a minute;
        anything else a few times, before the connections are given up."""
        tries = _TRIES if news.answers else _FEW_TRIES
        while True:
            self._pulse()
            try:
                with self._database.write() as session:
                    return self._commit(session, news, room)
            except TransientError as error:
                tries -= 1
                if not tries:
                    raise
                event = "answers_not_stored" if news.answers else "not_stored"
                log.error(event, reason=str(error), answers=len(news.answers), tries_left=tries)
                time.sleep(1)

    def _commit(self, session: Session, news: _News, room: int) -> _Done:
        now = self._clock()
        settled = []
        renewals: dict[int, Renewal] = {}
        for row, answer in news.answers:
            rest = backoff(row.id, row.attempts)
            retry_at = now + rest if rest else None
            state = outbox.settle(session, row, answer, now, retry_at, self._quiet)
            if row.seal and self._seals and state is State.SENT:
                self._seals.sent(session, row, now)
            if state is State.UNCERTAIN:
                renewals |= _renew(session, [replace(row, doubts=row.doubts + 1)], self._seals, now, self._quiet)
            settled.append((row, answer, state, retry_at))
        for row, reason in news.untried:
            outbox.give_back(session, row, reason)
        sending = outbox.mark_sending(session, [row for row, _ in news.ready], now, LEASE)
        opened = self._opened(session, outbox.claim(session, self._owner, now, room, LEASE), now)
        return _Done(settled, sending, opened, renewals)

    def _opened(self, session: Session, claims: outbox.Claims, now: datetime) -> _Opened:
        """The claims with their bytes; a sealed mail that is no longer true is withdrawn instead of sent, and one that
        cannot be made has failed, alone."""
        if self._seals is None or not any(row.seal for row in claims.rows):
            return _Opened(claims.rows, claims.withdrawn)
        rows, withdrawn, failed = [], list(claims.withdrawn), []
        for row in claims.rows:
            made = _made(session, self._seals, row, now) if row.seal else row.body
            if isinstance(made, PermanentError):
                outbox.settle(session, row, delivery.Refused(str(made)), now, None, self._quiet)
                failed.append((row, str(made)))
            elif isinstance(made, str):
                outbox.give_back(session, row, None)
                outbox.withdraw(session, [row.id], made)
                withdrawn.append(row)
            else:
                rows.append(replace(row, body=made))
        return _Opened(tuple(rows), tuple(withdrawn), tuple(failed))

    def _go_on(self, news: _News, done: _Done) -> None:
        for row, ready in news.ready:
            if row.id in done.sending:
                self._sending[self._relay.transmit(ready, row.body or b"")] = row
            else:
                self._relay.forget(ready)
        for row in done.opened.rows:
            self._preparing[self._prepare(row)] = row
        for row, answer, state, retry_at in done.settled:
            self.counts[self._tell(row, answer, state, retry_at, done.renewals.get(row.id))] += 1
        for row, reason in done.opened.failed:
            log.error("failed", log_id=row.log_id, to=row.recipient, notice=row.notice, error=reason, fix=_retry(row))
            self.counts["failed"] += 1
        for row in done.opened.withdrawn:
            log.warning("withdrawn", log_id=row.log_id, to=row.recipient, notice=row.notice, not_after=row.not_after)
            self.counts["withdrawn"] += 1

    def _prepare(self, row: Claimed) -> "Future[smtp.Prepared]":
        if row.body is None:
            purged: Future[smtp.Prepared] = Future()
            purged.set_result(delivery.Refused("the bytes of this mail were purged: nothing is left to send"))
            return purged
        eight_bit = not row.body.isascii()
        return self._relay.prepare(smtp.Envelope(row.envelope_from, row.recipient, len(row.body), eight_bit))

    def _tell(
        self,
        row: Claimed,
        answer: delivery.Answer,
        state: State | None,
        retry_at: datetime | None,
        renewal: Renewal | None,
    ) -> str:
        """The log line of an answer (INTERFACE §5); returns its event."""
        about = {"to": row.recipient, "notice": row.notice, "relay": self._relay.name, "attempt": row.attempts}
        match answer:
            case _ if state is None:
                log.warning("overtaken", log_id=row.log_id, **about, answer=str(answer))
                return "overtaken"
            case delivery.Sent(status):
                log.event("sent", log_id=row.log_id, **about, status=status)
                return "sent"
            case delivery.Deferred(status) if state != State.FAILED:
                log.event(
                    "deferred", log_id=row.log_id, **about, status=status, why=delivery.why(status), retry_at=retry_at
                )
                return "deferred"
            case delivery.Deferred(status):
                log.error(
                    "failed", log_id=row.log_id, **about, status=status, why=delivery.why(status), fix=_retry(row)
                )
                return "failed"
            case delivery.Refused(status):
                log.error(
                    "refused", log_id=row.log_id, **about, status=status, why=delivery.why(status), fix=_retry(row)
                )
                return "refused"
            case delivery.Uncertain(reason):
                _tell_doubt(row, row.doubts + 1, reason, renewal)
                return "uncertain"


def _made(session: Session, seals: Seals, row: Claimed, now: datetime) -> bytes | str | PermanentError:
    """The bytes of a sealed mail, why it is no longer true, or why it cannot be made: its own trouble, no other's."""
    try:
        with session.begin_nested():
            return seals.opened(session, row, now)
    except PermanentError as error:
        return error


def _renew(
    session: Session, doubted: Iterable[Claimed], seals: Seals | None, now: datetime, quiet: timedelta
) -> dict[int, Renewal]:
    """What holds a secret is not sent twice: a new mail replaces it. By row, what becomes of it."""
    return {row.id: _renewal(session, seals, row, now, quiet) for row in doubted if row.seal and seals}


def _renewal(session: Session, seals: Seals, row: Claimed, now: datetime, quiet: timedelta) -> Renewal:
    try:
        with session.begin_nested():
            return seals.doubted(session, row, now, quiet)
    except PermanentError as error:
        return Renewal(f"{error}; then: {_retry(row)}", alarm=True)


def _tell_recovered(recovered: outbox.Recovered, renewals: Mapping[int, Renewal]) -> None:
    for row in recovered.doubted:
        reason = "the daemon stopped between DATA and the relay's answer"
        _tell_doubt(row, row.doubts, reason, renewals.get(row.id))


def _tell_doubt(row: Claimed, doubts: int, reason: str, renewal: Renewal | None) -> None:
    """A first doubt is resent by itself, or a new mail replaces it where it held a secret (`renewal`); the second is
    the alarm (RFC 1047: nobody can know)."""
    about = {"to": row.recipient, "notice": row.notice, "attempt": row.attempts, "doubts": doubts, "reason": reason}
    if renewal is not None:
        tell = log.error if renewal.alarm else log.warning
        tell("uncertain", log_id=row.log_id, **about, fix=renewal.fix)
    elif doubts < outbox.MOST_DOUBTS and not row.seal:
        log.warning("uncertain", log_id=row.log_id, **about)
    else:
        log.error("uncertain", log_id=row.log_id, **about, fix=f"ask whether it arrived; if not: {_retry(row)}")


def _retry(row: Claimed) -> str:
    return f"triaged queue retry {row.id}"
