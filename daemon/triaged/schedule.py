"""What runs when: a thread per mailbox, one that decides, one that delivers, all on the monotonic clock; and jobs that
are due by the clock on the wall, once over all hosts. For those rings APScheduler, whose only door this is, and its row
tells whether one is due, looked at once a minute unasked: a scheduler stops where a clock is set back (DESIGN §3).

Stages wake each other by events and look again by themselves as a backstop. A job that raises is logged and runs
again when it is next due: nothing but the process's end stops the others. The main thread keeps house: it beats, holds
the leases of those who are not hung, starts again whatever died, and tells systemd that all live.
"""

import contextlib
import faulthandler
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType
from typing import Any

from apscheduler.schedulers.background import BackgroundScheduler

from triaged import app as composition
from triaged import log
from triaged.adapters import notify, runlock, smtp
from triaged.adapters.db import clock, engine, hosts, leases
from triaged.app import App
from triaged.domain.errors import PermanentError, TransientError
from triaged.workflows import (
    audit,
    contracting,
    decide,
    deliver,
    directory_refresh,
    erasure,
    intake,
    integrity,
    jobs,
    sharing,
    upkeep,
    vitals,
)

_BACKSTOP = 5.0  # seconds after which an idle stage looks again by itself
_BEAT = 5.0
_TAKEOVER = 15.0  # seconds between two looks at who died
_PATIENCE = 40.0  # a stop gives mails under way 30 s, and everybody else the rest
_UNASKED = 60.0  # seconds after which the jobs' rows are looked at though nobody rang
_MEND_TEMPLATE = (
    "mend it; mails that it stopped lie in quarantine: `triaged quarantine release` decides them again, and "
    "`triaged queue retry` sends what failed"
)
_RETRY = 5.0  # after trouble with the database
_BATCH = 600.0  # seconds that a batch of mails may take to decide, at the very most
_ROUND = 120.0  # and one turn of the deliveries


@dataclass(slots=True)
class Daemon:
    """One running daemon: who it is, its stop, the bells that stages ring for each other, and who of them lives."""

    app: App
    owner: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    stop: threading.Event = field(default_factory=threading.Event)
    mail_came: threading.Event = field(default_factory=threading.Event)
    mail_owed: threading.Event = field(default_factory=threading.Event)
    job_due: threading.Event = field(default_factory=threading.Event)
    progress: dict[str, Mapping[str, object]] = field(default_factory=dict)
    lives: vitals.Vitals = field(default_factory=vitals.Vitals)
    shares: sharing.Sharing = field(init=False)
    errands: jobs.Jobs = field(init=False)
    next_due: datetime | None = None  # of the mails that we owe
    skew: timedelta = timedelta()  # the database's clock less ours
    beaten: float = 0.0  # when we last beat, by the monotonic clock; 0 never
    hung_up: bool = False  # SIGHUP came

    def __post_init__(self) -> None:
        names = [mailbox.name for mailbox in self.app.settings.mailboxes]
        self.shares = sharing.Sharing(self.app.database, self.owner, names)
        self.errands = jobs.Jobs(self.app.database, self.owner, _due(self), _guarded)

    def now(self) -> datetime:
        """The time that all hosts on one database agree on."""
        return _now() + self.skew

    def note(self, name: str, state: Mapping[str, object]) -> None:
        self.progress[name] = dict(state)

    def stopping(self, loop: str, seconds: float) -> bool:
        """Whether to stop; if not, this loop lives and asks again within so many seconds."""
        self.lives.pulse(loop, seconds)
        return self.stop.is_set()

    def intakes(self) -> tuple[intake.Intake, ...]:
        watched = composition.Watched(
            stop=self.stop,
            now=self.now,
            wake=self.mail_came.set,
            progress=self.note,
            tenure=self.shares.tenure,
            pulse=self.lives.pulse,
        )
        return composition.intakes(self.app, watched)


def run(app: App) -> None:
    """The daemon until SIGTERM or SIGINT. Raises TransientError when another one works on the same SQLite database."""
    faulthandler.enable()  # where each thread stood, when the watchdog's SIGABRT or a crash in a library ends us
    daemon = Daemon(composition.ready(app))
    _stop_on_signals(daemon)
    with _exclusive(daemon):
        serve(daemon)


def run_once(app: App) -> tuple[str, ...]:
    """Drain every mailbox, decide, deliver what is due. Returns what could not be reached; the rest is done anyway."""
    daemon = Daemon(composition.ready(app))
    daemon.note(hosts.ONCE, {"at": daemon.now()})
    _stop_on_signals(daemon)
    with _exclusive(daemon):
        _start(daemon)
        with _kept(daemon):
            troubles = _drain(daemon)
        _leave(daemon)
    return troubles


def _drain(daemon: Daemon) -> tuple[str, ...]:
    app = daemon.app
    daemon.shares.turn(all_free=True)
    errors = [_drained(one) for one in daemon.intakes()]
    decide.decide_waiting(composition.office(app, daemon.owner), daemon.now, daemon.stop.is_set)
    relay = composition.relay(app)
    try:
        deliver.deliver_due(app.database, relay, daemon.owner, daemon.now, daemon.stop, seals=app.seals)
    finally:
        relay.close()
    unreachable = relay.name if relay.waits() else ""
    return tuple(
        filter(None, [*errors, unreachable and f"relay {unreachable} cannot be reached: mails wait in the queue"])
    )


@contextlib.contextmanager
def _kept(daemon: Daemon) -> Iterator[None]:
    """Beat and hold our leases while the main thread works."""
    done = threading.Event()

    def keep() -> None:
        while not done.wait(_BEAT):
            _keep(daemon)

    thread = _thread("keeper", keep)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextlib.contextmanager
def _exclusive(daemon: Daemon) -> Iterator[None]:
    """On SQLite one `run` at a time; PostgreSQL shares."""
    path = daemon.app.database.path
    one = runlock.RunLock(path.with_name(path.name + ".lock")) if path else contextlib.nullcontext()
    with one, runlock.living(daemon.app.settings.service.state_dir, daemon.owner):
        yield


def _drained(one: intake.Intake) -> str:
    if not one.tenure.wait(0):
        log.event("", mailbox=one.mailbox.name, state=intake.ELSEWHERE)
        return ""
    try:
        intake.drain(one)
    except (TransientError, PermanentError) as error:
        log.error("", mailbox=one.mailbox.name, state="unreachable", reason=str(error))
        return f"{one.mailbox.name}: {error}"
    return ""


def serve(daemon: Daemon) -> None:
    """Run every stage until the daemon's stop is set. Raises Broken when the database is."""
    app = daemon.app
    _start(daemon)
    _guarded("leases", daemon.shares.turn)
    loops = {"decide": partial(_decide, daemon), "deliver": partial(_deliver, daemon)}
    loops |= {leases.mailbox(one.mailbox.name): partial(_watch, daemon, one) for one in daemon.intakes()}
    threads = {name: _thread(name, loop) for name, loop in loops.items()}
    for thread in threads.values():
        thread.start()
    log.event("started", owner=daemon.owner, mailboxes=len(app.settings.mailboxes), database=app.database.dialect)
    notify.tell(READY=1)
    _keep_house(daemon, loops, threads)
    _end(daemon, threads)
    if app.database.broken:
        raise engine.Broken(app.database.broken)


def _keep_house(daemon: Daemon, loops: Mapping[str, Callable[[], None]], threads: dict[str, threading.Thread]) -> None:
    """What the main thread does until the stop."""
    look = unasked = 0.0
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None})
    scheduler.start()
    while not daemon.stop.wait(_BEAT) and not daemon.app.database.broken:
        _keep(daemon)
        if daemon.job_due.is_set() or time.monotonic() >= unasked:
            unasked = time.monotonic() + _UNASKED
            _guarded("jobs", lambda: _look_at_jobs(daemon, scheduler))
        if time.monotonic() >= look:
            look = time.monotonic() + _TAKEOVER
            _guarded("takeover", lambda: _take_over(daemon))
            _guarded("life", lambda: composition.live(daemon.app))
        _start_again(loops, threads)
        _tell_systemd(daemon)
        if daemon.hung_up:
            daemon.hung_up = False
            log.warning(
                "hangup ignored", reason="nothing is read again while it runs: restart it to use a new configuration"
            )
    scheduler.shutdown(wait=False)


def _look_at_jobs(daemon: Daemon, scheduler: BackgroundScheduler) -> None:
    """Start what is due, and have the scheduler ring when the next will be."""
    daemon.job_due.clear()
    due = daemon.errands.turn()
    if due is not None:
        ring = daemon.job_due.set
        scheduler.add_job(ring, "date", run_date=due - daemon.skew, id="next job", replace_existing=True)


def _keep(daemon: Daemon) -> None:
    """Beat, and hold the leases of those who are not hung."""
    _guarded("heartbeat", lambda: _beat(daemon))
    _guarded("leases", lambda: daemon.shares.turn(daemon.lives.overdue(), daemon.errands.held()))


def _start_again(loops: Mapping[str, Callable[[], None]], threads: dict[str, threading.Thread]) -> None:
    """A loop whose thread died of what no guard catches."""
    for name, thread in list(threads.items()):
        if not thread.is_alive():
            log.error("restarted", loop=name, reason="its thread had died")
            threads[name] = _thread(name, loops[name])
            threads[name].start()


def _tell_systemd(daemon: Daemon) -> None:
    """The sign of life, unless a loop hangs: then nobody but systemd can help, who starts us anew."""
    hung = daemon.lives.overdue()  # a job that takes long (a large file is looked at) is only named: it stops nobody
    if long := daemon.errands.overdue():
        log.warning("takes long", jobs=",".join(long))
    held = f"{len(daemon.shares.held())} of {len(daemon.app.settings.mailboxes)} mailboxes polled here"
    daemon.note("watchdog", {"hangs": ",".join(hung)})
    if hung:
        log.error("hangs", loops=",".join(hung), reason="not back in time; systemd's watchdog restarts the daemon")
        notify.tell(STATUS=f"hangs: {', '.join(hung)}")
    else:
        notify.tell(WATCHDOG=1, STATUS=held)


def _end(daemon: Daemon, threads: Mapping[str, threading.Thread]) -> None:
    """Nothing more is claimed; mails in DATA get their time, everybody lets go of what he holds."""
    daemon.stop.set()
    notify.tell(STOPPING=1)
    log.event("stopping")
    daemon.mail_came.set()
    daemon.mail_owed.set()
    daemon.shares.wake()
    end = time.monotonic() + _PATIENCE
    for thread in threads.values():
        thread.join(max(0.0, end - time.monotonic()))
    late = [thread.name for thread in threads.values() if thread.is_alive()]
    late += daemon.errands.wait(max(0.0, end - time.monotonic()))
    _guarded("heartbeat", lambda: _leave(daemon))
    log.event("stopped", late=",".join(late) or None)


def _thread(name: str, work: Callable[[], None]) -> threading.Thread:
    return threading.Thread(target=work, name=name, daemon=True)


def _start(daemon: Daemon) -> None:
    """Take up what the last process left: say who we are, free what the dead had, print what was not printed."""
    app = daemon.app
    with notify.patience():
        integrity.look(app.database)
    composition.live(app)
    _beat(daemon)
    if app.database.dialect == "sqlite":
        with app.database.write() as session:
            hosts.only(session, daemon.owner)
    _take_over(daemon)
    decide.announce_again(composition.office(app, daemon.owner))
    for problem in composition.template_problems(app):
        log.error("template", problem=problem, fix=_MEND_TEMPLATE)
    daemon.errands.run_now("directory")


def _watch(daemon: Daemon, one: intake.Intake) -> None:
    """A mailbox's thread outlives whatever its watch raises."""
    while not daemon.stop.is_set():
        _guarded(f"intake {one.mailbox.name}", partial(intake.watch, one))
        daemon.stop.wait(_RETRY)


def _decide(daemon: Daemon) -> None:
    office = composition.office(daemon.app, daemon.owner)
    stopping = partial(daemon.stopping, "decide", _BATCH)
    while not stopping():
        daemon.mail_came.clear()
        if _guarded("decide", lambda: _rung(daemon, decide.decide_waiting(office, daemon.now, stopping))):
            daemon.mail_came.wait(_BACKSTOP)
        else:
            daemon.stop.wait(_RETRY)


def _rung(daemon: Daemon, decided: int) -> None:
    daemon.note("decide", {"at": daemon.now(), "decided": decided})
    if decided:
        daemon.mail_owed.set()


def _deliver(daemon: Daemon) -> None:
    relay = composition.relay(daemon.app)
    while not daemon.stopping("deliver", _ROUND):
        daemon.mail_owed.clear()
        if _guarded("deliver", lambda: _sent(daemon, relay)):
            daemon.mail_owed.wait(_pause(daemon.next_due, daemon.now()))
        else:
            daemon.stop.wait(_RETRY)
    relay.close()


def _sent(daemon: Daemon, relay: smtp.Relay) -> None:
    app = daemon.app
    pulse = partial(daemon.lives.pulse, "deliver", _ROUND)
    delivered = deliver.deliver_due(
        app.database, relay, daemon.owner, daemon.now, daemon.stop, seals=app.seals, pulse=pulse
    )
    daemon.next_due = delivered.next_due
    daemon.note("deliver", {"at": daemon.now(), **delivered.counts})


def _pause(next_due: datetime | None, now: datetime) -> float:
    """Seconds until the next mail is due, at most the backstop."""
    return min(_BACKSTOP, max(0.1, (next_due - now).total_seconds())) if next_due else _BACKSTOP


def _due(daemon: Daemon) -> list[jobs.Job]:
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
            directory.every,
            "directory",
            lambda: directory_refresh.refresh(app.database, directory, app.rules, daemon.now()),
        )
    values = app.settings
    nightly(3, integrity.NAME, lambda: integrity.inspect(app.database, daemon.now()))
    nightly(4, audit.NAME, lambda: audit.nightly(app.database, values, daemon.now, daemon.stop))
    every(timedelta(hours=1), "checkpoint", lambda: integrity.checkpoint(app.database))
    every(
        timedelta(minutes=5),
        "calendar",
        lambda: contracting.keep_calendar(app.database, values.catalogue, daemon.now()),
    )
    every(
        timedelta(hours=6),
        "retention",
        lambda: erasure.purge(app.database, values.mailboxes, values.policy, app.key, daemon.now()),
    )
    return found


def _take_over(daemon: Daemon) -> None:
    """What other hosts held when they died."""
    database = daemon.app.database
    upkeep.bury_the_dead(database, daemon.owner, runlock.dead(daemon.app.settings.service.state_dir))
    deliver.recover(database, daemon.owner, daemon.now, seals=daemon.app.seals)


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
    """I live. Whoever was silent for too long was taken for dead: what he held is others', and he finds that out in
    each of his transactions; from here on he lives again."""
    silent = time.monotonic() - daemon.beaten if daemon.beaten else 0.0
    with daemon.app.database.write() as session:
        known = hosts.beat(session, daemon.owner, socket.gethostname(), os.getpid(), _plain(daemon.progress))
        if daemon.app.database.dialect != "sqlite":  # there it is ours
            daemon.skew = clock.now(session) - datetime.now(UTC)
    if daemon.beaten and not known:
        log.warning("was taken for dead", silent=f"{silent:.0f}s", reason="what it held was taken over; it goes on")
    daemon.beaten = time.monotonic()


def _leave(daemon: Daemon) -> None:
    with daemon.app.database.write() as session:
        leases.leave(session, daemon.owner)
        hosts.leave(session, daemon.owner)


def _plain(progress: Mapping[str, Mapping[str, object]]) -> dict[str, Any]:
    """For JSON: times as RFC 3339 UTC."""

    def told(value: object) -> object:
        if isinstance(value, datetime):
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        return value if isinstance(value, int | None) else str(value)

    return {name: {key: told(value) for key, value in state.items()} for name, state in list(progress.items())}


def _stop_on_signals(daemon: Daemon) -> None:
    """SIGTERM and SIGINT stop claiming at once; a second one ends the process as it is, which loses nothing. SIGHUP is
    only noted: the log is stderr, and a configuration is read at the start."""

    def stop(number: int, _frame: FrameType | None) -> None:
        if daemon.stop.is_set():
            os._exit(128 + number)
        daemon.stop.set()

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        daemon.hung_up = True

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGHUP, hang_up)


def _now() -> datetime:
    return datetime.now(UTC)
