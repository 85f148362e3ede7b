"""What runs when: a thread per mailbox, one that decides, one that delivers, all on the monotonic clock; and jobs that
are due by the clock on the wall, once over all hosts.

Stages wake each other by events and look again by themselves as a backstop. A job that raises is logged and runs
again when it is next due: nothing but the process's end stops the others.
"""

import contextlib
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType
from typing import Any

from triaged import app as composition
from triaged import log
from triaged.adapters import runlock, smtp
from triaged.adapters.db import hosts
from triaged.app import App
from triaged.domain.errors import PermanentError, TransientError
from triaged.workflows import contracting, decide, deliver, directory_refresh, intake, jobs, upkeep

_BACKSTOP = 5.0  # seconds after which an idle stage looks again by itself
_BEAT = 5.0
_TAKEOVER = 15.0  # seconds between two looks at who died
_PATIENCE = 40.0  # a stop gives mails under way 30 s, and everybody else the rest
_RETRY = 5.0  # after trouble with the database


@dataclass(slots=True)
class Daemon:
    """One running daemon: who it is, its stop, and the bells that stages ring for each other."""

    app: App
    owner: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    stop: threading.Event = field(default_factory=threading.Event)
    mail_came: threading.Event = field(default_factory=threading.Event)
    mail_owed: threading.Event = field(default_factory=threading.Event)
    progress: dict[str, Mapping[str, object]] = field(default_factory=dict)
    next_due: datetime | None = None  # of the mails that we owe

    def note(self, name: str, state: Mapping[str, object]) -> None:
        self.progress[name] = dict(state)


def run(app: App) -> None:
    """The daemon until SIGTERM or SIGINT. Raises TransientError when another one works on the same SQLite database."""
    daemon = Daemon(composition.ready(app))
    _stop_on_signals(daemon)
    with _exclusive(app):
        serve(daemon)


def run_once(app: App) -> tuple[str, ...]:
    """Drain every mailbox, decide, deliver what is due. Returns what could not be reached; the rest is done anyway."""
    daemon = Daemon(composition.ready(app))
    _stop_on_signals(daemon)
    with _exclusive(app):
        _start(daemon)
        errors = [_drained(one) for one in composition.intakes(app, daemon.stop, daemon.mail_came.set, daemon.note)]
        decide.decide_waiting(composition.office(app, daemon.owner), _now, daemon.stop.is_set)
        relay = composition.relay(app)
        try:
            deliver.deliver_due(app.database, relay, daemon.owner, _now, daemon.stop, seals=app.seals)
        finally:
            relay.close()
        _leave(daemon)
    unreachable = relay.name if relay.waits() else ""
    return tuple(
        filter(None, [*errors, unreachable and f"relay {unreachable} cannot be reached: mails wait in the queue"])
    )


def _exclusive(app: App) -> AbstractContextManager[object]:
    """On SQLite one `run` at a time; PostgreSQL shares."""
    path = app.database.path
    return runlock.RunLock(path.with_name(path.name + ".lock")) if path else contextlib.nullcontext()


def _drained(one: intake.Intake) -> str:
    try:
        intake.drain(one)
    except (TransientError, PermanentError) as error:
        log.error("", mailbox=one.mailbox.name, state="unreachable", reason=str(error))
        return f"{one.mailbox.name}: {error}"
    return ""


def serve(daemon: Daemon) -> None:
    """Run every stage until the daemon's stop is set."""
    app = daemon.app
    _start(daemon)
    threads = [_thread("decide", lambda: _decide(daemon)), _thread("deliver", lambda: _deliver(daemon))]
    for one in composition.intakes(app, daemon.stop, daemon.mail_came.set, daemon.note):
        threads.append(_thread(f"intake-{one.mailbox.name}", partial(_watch, daemon, one)))
    scheduler = _scheduler(daemon)
    for thread in threads:
        thread.start()
    log.event("started", owner=daemon.owner, mailboxes=len(app.settings.mailboxes), database=app.database.dialect)
    look = 0.0
    while not daemon.stop.wait(_BEAT):
        _guarded("heartbeat", lambda: _beat(daemon))
        _guarded("jobs", scheduler.turn)
        if time.monotonic() >= look:
            look = time.monotonic() + _TAKEOVER
            _guarded("takeover", lambda: _take_over(daemon))
    log.event("stopping")
    daemon.mail_came.set()
    daemon.mail_owed.set()
    for thread in threads:
        thread.join(_PATIENCE)
    late = [thread.name for thread in threads if thread.is_alive()]
    _guarded("heartbeat", lambda: _leave(daemon))
    log.event("stopped", late=",".join(late) or None)


def _thread(name: str, work: Callable[[], None]) -> threading.Thread:
    return threading.Thread(target=work, name=name, daemon=True)


def _start(daemon: Daemon) -> None:
    """Take up what the last process left: say who we are, free what the dead had, print what was not printed."""
    app = daemon.app
    _beat(daemon)
    exclusive = app.database.dialect == "sqlite"
    with app.database.write() as session:
        if exclusive:
            hosts.only(session, daemon.owner)
        alive = hosts.alive(session)
    upkeep.bury_the_dead(app.database, daemon.owner)
    deliver.recover(app.database, {*alive, daemon.owner}, _now, seals=app.seals)
    decide.announce_again(composition.office(app, daemon.owner))
    if app.settings.directory.accounts or app.settings.directory.partners:
        directory_refresh.refresh(app.database, app.settings.directory, app.rules, _now())


def _watch(daemon: Daemon, one: intake.Intake) -> None:
    """A mailbox's thread outlives whatever its watch raises."""
    while not daemon.stop.is_set():
        _guarded(f"intake {one.mailbox.name}", partial(intake.watch, one))
        daemon.stop.wait(_RETRY)


def _decide(daemon: Daemon) -> None:
    office = composition.office(daemon.app, daemon.owner)
    while not daemon.stop.is_set():
        daemon.mail_came.clear()
        if _guarded("decide", lambda: _rung(daemon, decide.decide_waiting(office, _now, daemon.stop.is_set))):
            daemon.mail_came.wait(_BACKSTOP)
        else:
            daemon.stop.wait(_RETRY)


def _rung(daemon: Daemon, decided: int) -> None:
    daemon.note("decide", {"at": _now().isoformat(), "decided": decided})
    if decided:
        daemon.mail_owed.set()


def _deliver(daemon: Daemon) -> None:
    relay = composition.relay(daemon.app)
    while not daemon.stop.is_set():
        daemon.mail_owed.clear()
        if _guarded("deliver", lambda: _sent(daemon, relay)):
            daemon.mail_owed.wait(_pause(daemon.next_due))
        else:
            daemon.stop.wait(_RETRY)
    relay.close()


def _sent(daemon: Daemon, relay: smtp.Relay) -> None:
    app = daemon.app
    delivered = deliver.deliver_due(app.database, relay, daemon.owner, _now, daemon.stop, seals=app.seals)
    daemon.next_due = delivered.next_due
    daemon.note("deliver", {"at": _now().isoformat(), **delivered.counts})


def _pause(next_due: datetime | None) -> float:
    """Seconds until the next mail is due, at most the backstop."""
    return min(_BACKSTOP, max(0.1, (next_due - _now()).total_seconds())) if next_due else _BACKSTOP


def _scheduler(daemon: Daemon) -> jobs.Jobs:
    """What is due by the clock on the wall, once over all hosts; missed runs are made up for once."""
    app, found = daemon.app, list[jobs.Job]()

    def every(period: timedelta, name: str, job: Callable[[], object]) -> None:
        found.append(jobs.every(period, name, job))

    def nightly(hour: int, name: str, job: Callable[[], object]) -> None:
        """`hour` in UTC."""
        found.append(jobs.nightly(hour, name, job))

    directory = app.settings.directory
    if directory.accounts or directory.partners:
        every(
            directory.every, "directory", lambda: directory_refresh.refresh(app.database, directory, app.rules, _now())
        )
    values = app.settings
    every(timedelta(minutes=5), "calendar", lambda: contracting.keep_calendar(app.database, values.catalogue, _now()))
    every(timedelta(hours=6), "retention", lambda: upkeep.purge(app.database, values.mailboxes, values.policy, _now()))
    return jobs.Jobs(app.database, daemon.owner, found, _guarded)


def _take_over(daemon: Daemon) -> None:
    """What other hosts held when they died."""
    database = daemon.app.database
    upkeep.bury_the_dead(database, daemon.owner)
    with database.read() as session:
        alive = hosts.alive(session)
    deliver.recover(database, {*alive, daemon.owner}, _now, seals=daemon.app.seals)


def _guarded(name: str, job: Callable[[], object]) -> bool:
    """The one broad except per job: it is logged, and the job runs again when it is next due."""
    try:
        job()
    except TransientError as error:
        log.error("waiting", job=name, reason=str(error))
        return False
    except Exception as error:  # noqa: BLE001  # one of the two broad excepts of the house: per job
        log.error("failed", job=name, reason=error)
        return False
    return True


def _beat(daemon: Daemon) -> None:
    with daemon.app.database.write() as session:
        hosts.beat(session, daemon.owner, socket.gethostname(), os.getpid(), _plain(daemon.progress))


def _leave(daemon: Daemon) -> None:
    with daemon.app.database.write() as session:
        hosts.leave(session, daemon.owner)


def _plain(progress: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
    return {
        name: {key: value if isinstance(value, int | None) else str(value) for key, value in state.items()}
        for name, state in list(progress.items())
    }


def _stop_on_signals(daemon: Daemon) -> None:
    """SIGTERM and SIGINT stop claiming at once; a second one ends the process as it is, which loses nothing."""

    def stop(number: int, _frame: FrameType | None) -> None:
        if daemon.stop.is_set():
            os._exit(128 + number)
        daemon.stop.set()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)


def _now() -> datetime:
    return datetime.now(UTC)
