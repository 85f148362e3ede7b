"""Jobs by the wall clock: once over all hosts, made up for after a stop, undisturbed by a clock that jumps."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy

from triaged.adapters.db import clock, leases, models
from triaged.adapters.db.engine import Database
from triaged.workflows import jobs

HOUR = timedelta(hours=1)


def guarded(_name: str, work: Callable[[], object]) -> bool:
    try:
        work()
    except RuntimeError:
        return False
    return True


def host(database: Database, owner: str, *found: jobs.Job) -> jobs.Jobs:
    return jobs.Jobs(database, owner, found, guarded)


def turn(*hosts: jobs.Jobs) -> None:
    for one in hosts:
        one.turn()
    for one in hosts:
        assert one.wait(5) == ()


def set_done(database: Database, at: timedelta) -> None:
    with database.write() as session:
        session.execute(sqlalchemy.update(models.Lease).values(done_at=clock.moment(session, at)))


def test_a_periodic_job_runs_once_over_all_hosts_and_again_after_its_period(database: Database) -> None:
    ran: list[str] = []
    first = host(database, "a", jobs.every(HOUR, "purge", lambda: ran.append("a")))
    second = host(database, "b", jobs.every(HOUR, "purge", lambda: ran.append("b")))
    turn(first, second)
    turn(second, first)
    assert ran == ["a"]
    set_done(database, -HOUR - timedelta(seconds=1))
    turn(second, first)
    assert ran == ["a", "b"]


@pytest.mark.parametrize("jump", [timedelta(minutes=1), timedelta(hours=1), timedelta(days=31)])
def test_a_clock_set_back_after_a_run_stops_no_job(database: Database, jump: timedelta) -> None:
    ran: list[int] = []
    one = host(database, "a", jobs.every(HOUR, "purge", lambda: ran.append(1)))
    turn(one)
    set_done(database, jump)  # as the row looks once the clock is back
    turn(one)
    turn(one)
    assert ran == [1, 1]


def test_a_nightly_job_has_missed_nothing_on_a_new_database_and_makes_up_once_for_nights_without_a_daemon(
    database: Database,
) -> None:
    ran: list[int] = []
    hour = datetime.now(UTC).hour
    turn(host(database, "a", jobs.nightly(hour, "audit", lambda: ran.append(1))))
    assert ran == []
    set_done(database, -timedelta(days=5))
    later = host(database, "b", jobs.nightly(hour, "audit", lambda: ran.append(1)))
    turn(later)
    turn(later)
    assert ran == [1]


@pytest.mark.parametrize(
    ("now", "done", "due"),
    [
        ("2026-02-28T02:59", "2026-02-27T03:10", False),
        ("2026-02-28T03:00", "2026-02-27T03:10", True),
        ("2028-02-29T03:01", "2028-02-28T03:10", True),
        ("2026-10-25T01:30", "2026-10-24T03:10", False),  # the hour that Berlin has twice
        ("2026-10-25T03:00", "2026-10-24T03:10", True),
        ("2026-03-29T02:30", "2026-03-28T03:00", False),  # the hour that Berlin does not have
        ("2026-12-31T23:59", "2026-12-31T03:00", False),
        ("2027-01-01T03:00", "2026-12-31T03:00", True),
        ("2026-05-20T12:00", "2026-05-02T03:00", True),
    ],
)
def test_a_night_is_counted_in_utc(now: str, done: str, due: bool) -> None:
    job = jobs.nightly(3, "audit", lambda: None)
    assert (datetime.fromisoformat(done) < job.since(datetime.fromisoformat(now))) is due


def test_a_job_that_hangs_stops_no_other_keeps_its_lease_and_is_named(database: Database) -> None:
    release, ran = threading.Event(), list[int]()
    stuck = jobs.every(HOUR, "stuck", lambda: release.wait(20), allowance=timedelta(milliseconds=200))
    one = host(database, "a", stuck, jobs.every(timedelta(), "quick", lambda: ran.append(1)))
    try:
        one.turn()
        assert [held.name for held in one.held()].count("job:stuck") == 1
        limit = time.monotonic() + 5
        while len(ran) < 3 and time.monotonic() < limit:
            one.turn()
            threading.Event().wait(0.01)
        assert len(ran) == 3
        while not one.overdue() and time.monotonic() < limit:
            threading.Event().wait(0.01)
        assert one.overdue() == ("job:stuck",)
        assert "job:stuck" not in [held.name for held in one.held()]  # nobody renews it any more
    finally:
        release.set()
        one.wait(5)


def test_a_job_that_failed_is_not_done_and_another_host_may_run_it_at_once(database: Database) -> None:
    ran: list[str] = []

    def fail() -> None:
        ran.append("a")
        raise RuntimeError

    first = host(database, "a", jobs.every(HOUR, "purge", fail))
    turn(first)
    turn(first)  # it rests
    assert ran == ["a"]
    turn(host(database, "b", jobs.every(HOUR, "purge", lambda: ran.append("b"))))
    assert ran == ["a", "b"]


def test_a_host_that_dies_inside_a_job_frees_it(database: Database) -> None:
    release, ran = threading.Event(), list[str]()
    first = host(database, "a", jobs.every(HOUR, "purge", lambda: release.wait(20)))
    second = host(database, "b", jobs.every(HOUR, "purge", lambda: ran.append("b")))
    try:
        first.turn()
        turn(second)
        assert ran == []
        with database.write() as session:
            leases.orphaned(session, ["b"])
        turn(second)
        assert ran == ["b"]
    finally:
        release.set()
        first.wait(5)
    with database.read() as session:
        row = leases.standing(session, ["job:purge"])["job:purge"]
    assert (row.owner, row.fence) == (None, 2)  # the late end of the first changed nothing


def test_a_job_of_the_start_runs_at_once_though_it_is_not_due(database: Database) -> None:
    ran: list[int] = []
    one = host(database, "a", jobs.every(HOUR, "directory", lambda: ran.append(1)))
    one.run_now("directory")
    one.run_now("directory")
    one.run_now("unknown")
    turn(one)
    assert ran == [1, 1]
