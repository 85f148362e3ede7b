"""Jobs: what is due by the clock on the wall, once over all hosts and not once per host (DESIGN §3).

What is due is a row: the lease `job:NAME` says when the job last ran to its end, by the database's clock. The scheduler
only says when to look, so a clock that jumps, a restart and a host that dies inside a job change nothing but the time
of the next run. Each run has its own thread: a job that hangs stops no other.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from triaged.adapters.db import clock, engine, leases

ALLOWANCE = timedelta(hours=1)
_REST = 60.0  # seconds until a job that failed is tried again


@dataclass(frozen=True, slots=True)
class Job:
    """`when`: a period since its last run ended, or an hour of each day (UTC). One of a period runs at once when it
    never ran; one of the night then waits for the next."""

    name: str
    work: Callable[[], object]
    when: timedelta | int
    allowance: timedelta

    @property
    def missed(self) -> bool:
        """Whether a job that never ran has missed a run."""
        return isinstance(self.when, timedelta)

    def since(self, now: datetime) -> datetime:
        """The time after which a run counts as this period's."""
        if isinstance(self.when, timedelta):
            return now - self.when
        today = now.replace(hour=self.when, minute=0, second=0, microsecond=0)
        return today if today <= now else today - timedelta(days=1)

    def next(self, done_at: datetime, now: datetime) -> datetime:
        """When it is due after this run."""
        return done_at + self.when if isinstance(self.when, timedelta) else self.since(now) + timedelta(days=1)


def every(period: timedelta, name: str, work: Callable[[], object], allowance: timedelta = ALLOWANCE) -> Job:
    """Due when its last run ended longer ago than `period`; at once when it never ran."""
    return Job(name, work, period, allowance)


def nightly(hour: int, name: str, work: Callable[[], object], allowance: timedelta = ALLOWANCE) -> Job:
    """Due once a day from this hour (UTC) on; a night in which nobody ran is made up for once."""
    return Job(name, work, hour, allowance)


@dataclass(frozen=True, slots=True)
class _Run:
    """A job under way in its thread, until when by the monotonic clock it may be."""

    held: leases.Held
    thread: threading.Thread
    until: float


class Jobs:
    """The jobs of one daemon. One thread calls `turn`; `guarded` runs a job and says whether it went well."""

    def __init__(
        self,
        database: engine.Database,
        owner: str,
        jobs: Sequence[Job],
        guarded: Callable[[str, Callable[[], object]], bool],
    ) -> None:
        self._database, self._owner, self._guarded = database, owner, guarded
        self._jobs: Mapping[str, Job] = {leases.job(job.name): job for job in jobs}
        self._runs: dict[str, _Run] = {}
        self._rests: dict[str, float] = {}
        self._made = False

    def turn(self) -> datetime | None:
        """Take what is due and start it; returns when the next will be by the database's clock (None: unknown)."""
        self._runs = {name: run for name, run in self._runs.items() if run.thread.is_alive()}
        self._make()
        with self._database.read() as session:
            now, standing = clock.now(session), leases.standing(session, list(self._jobs))
        for name in self._due(standing, now):
            self._start(name)
        nexts = [self._jobs[name].next(row.done_at, now) for name, row in standing.items() if row.done_at]
        return min((due for due in nexts if due > now), default=None)

    def run_now(self, name: str) -> None:
        """Run this job, due or not, where there is one and no other host is at it."""
        job = self._jobs.get(leases.job(name))
        if job is None:
            return
        self._make()
        with self._database.write() as session:
            held = leases.take(session, leases.job(name), self._owner)
        if held is not None:
            self._run(job, held)

    def held(self) -> tuple[leases.Held, ...]:
        """The leases of jobs that are under way and may be: they are to be renewed."""
        return tuple(run.held for run in self._under_way() if time.monotonic() < run.until)

    def overdue(self) -> tuple[str, ...]:
        """Jobs that should have ended long ago."""
        return tuple(run.held.name for run in self._under_way() if time.monotonic() >= run.until)

    def wait(self, seconds: float) -> tuple[str, ...]:
        """Let what is under way end; names what did not."""
        end = time.monotonic() + seconds
        for run in self._runs.values():
            run.thread.join(max(0.0, end - time.monotonic()))
        return tuple(run.held.name for run in self._under_way())

    def _under_way(self) -> list[_Run]:
        return [run for run in list(self._runs.values()) if run.thread.is_alive()]

    def _make(self) -> None:
        if self._made:
            return
        with self._database.write() as session:
            leases.make(session, [name for name, job in self._jobs.items() if job.missed])
            others = [name for name, job in self._jobs.items() if not job.missed]
            leases.make(session, others, done_at=clock.now(session))
        self._made = True

    def _due(self, standing: Mapping[str, leases.Standing], now: datetime) -> list[str]:
        return [
            name
            for name, job in self._jobs.items()
            if name not in self._runs
            and time.monotonic() >= self._rests.get(name, 0.0)
            and (row := standing.get(name)) is not None
            and (row.free or row.owner == self._owner)
            and _is_due(job, row.done_at, now)
        ]

    def _start(self, name: str) -> None:
        job = self._jobs[name]
        with self._database.write() as session:
            held = leases.take(session, name, self._owner, job.since(clock.now(session)))
        if held is not None:
            thread = threading.Thread(target=self._run, args=(job, held), name=name, daemon=True)
            self._runs[name] = _Run(held, thread, time.monotonic() + job.allowance.total_seconds())
            thread.start()

    def _run(self, job: Job, held: leases.Held) -> None:
        """A job that failed is let go without being done: we rest before we try again, another host may at once."""
        if self._guarded(job.name, job.work) and self._guarded(job.name, partial(self._finish, held)):
            return
        self._rests[held.name] = time.monotonic() + _REST
        self._guarded(job.name, partial(self._release, held))

    def _finish(self, held: leases.Held) -> None:
        with self._database.write() as session:
            leases.finish(session, held)

    def _release(self, held: leases.Held) -> None:
        with self._database.write() as session:
            leases.release(session, [held])


def _is_due(job: Job, done_at: datetime | None, now: datetime) -> bool:
    return done_at is None or done_at < job.since(now) or done_at > now
