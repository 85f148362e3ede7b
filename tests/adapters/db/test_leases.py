"""Who alone may poll a mailbox or run a job: by fence, by the database's clock, on both databases."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy
from sqlalchemy.orm import Session
from tests.servers import postgres

from triaged.adapters.db import clock, hosts, leases, migrations, models
from triaged.adapters.db.engine import Database

BOX = leases.mailbox("eu")
ERRAND = leases.job("purge")


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    with database.write() as session:
        leases.make(session, [BOX, ERRAND])
    with database.write() as session:
        yield session


def run_out(session: Session, name: str = BOX) -> None:
    earlier = clock.moment(session, timedelta(seconds=-1))
    session.execute(sqlalchemy.update(models.Lease).where(models.Lease.name == name).values(until=earlier))


def test_the_first_takes_it_the_second_gets_nothing_and_the_first_renews_under_the_same_fence(session: Session) -> None:
    first = leases.take(session, BOX, "a")
    assert first == leases.Held(BOX, "a", 1)
    assert leases.take(session, BOX, "b") is None
    assert leases.take(session, BOX, "a") == first


def test_a_lease_that_ran_out_changes_hands_with_a_higher_fence_and_its_old_holder_finds_out(session: Session) -> None:
    old = leases.take(session, BOX, "a")
    assert old is not None
    run_out(session)
    new = leases.take(session, BOX, "b")
    assert new == leases.Held(BOX, "b", 2)
    leases.renew(session, [old])  # comes too late, and does nothing
    assert leases.standing(session, [BOX])[BOX].owner == "b"
    with pytest.raises(leases.Lost):
        leases.check(session, old)
    leases.check(session, new)


def test_a_lease_that_ran_out_is_still_its_holder_s_while_nobody_took_it(session: Session) -> None:
    held = leases.take(session, BOX, "a")
    assert held is not None
    run_out(session)
    leases.check(session, held)
    leases.renew(session, [held])
    assert not leases.standing(session, [BOX])[BOX].free


def test_a_late_release_frees_nothing_that_another_holds(session: Session) -> None:
    old = leases.take(session, BOX, "a")
    assert old is not None
    run_out(session)
    leases.take(session, BOX, "b")
    leases.release(session, [old])
    assert leases.standing(session, [BOX])[BOX].owner == "b"


def test_what_is_released_or_was_a_dead_host_s_is_free_at_once(session: Session) -> None:
    held = leases.take(session, BOX, "a")
    assert held is not None
    leases.release(session, [held])
    assert leases.take(session, BOX, "b") == leases.Held(BOX, "b", 2)
    assert leases.orphaned(session, ["c"]) == (BOX,)
    assert leases.orphaned(session, ["c"]) == ()
    assert leases.take(session, BOX, "c") == leases.Held(BOX, "c", 3)


def test_a_lease_farther_ahead_than_any_can_be_is_free_for_the_clock_was_set_back(session: Session) -> None:
    leases.take(session, BOX, "a")
    far = clock.moment(session, timedelta(hours=1))
    session.execute(sqlalchemy.update(models.Lease).values(until=far))
    assert leases.take(session, BOX, "b") is not None


def test_a_job_that_another_host_has_just_done_is_not_taken(session: Session) -> None:
    since = clock.now(session) - timedelta(minutes=5)
    held = leases.take(session, ERRAND, "a", since)
    assert held is not None
    leases.finish(session, held)
    assert leases.take(session, ERRAND, "b", since) is None
    assert leases.take(session, ERRAND, "b", clock.now(session) + timedelta(seconds=1)) is not None


def test_a_job_done_in_the_future_is_due_for_the_clock_was_set_back(session: Session) -> None:
    future = clock.moment(session, timedelta(hours=1))
    session.execute(sqlalchemy.update(models.Lease).values(done_at=future))
    assert leases.take(session, ERRAND, "a", clock.now(session) - timedelta(minutes=5)) is not None


def test_of_many_at_once_one_gets_it(database: Database) -> None:
    with database.write() as session:
        leases.make(session, [BOX])
    taken: list[leases.Held | None] = []
    start = threading.Barrier(8)

    def grab(owner: str) -> None:
        start.wait()
        with database.write() as session:
            taken.append(leases.take(session, BOX, owner))

    threads = [threading.Thread(target=grab, args=(f"host{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.fence for one in taken if one] == [1]
    assert len(taken) == 8


@pytest.mark.postgres
def test_a_transaction_that_checked_its_fence_keeps_the_lease_until_it_ends(postgresql: postgres.Postgres) -> None:
    database = Database(postgresql.fresh_database())
    migrations.METADATA.create_all(database.engine)
    with database.write() as session:
        leases.make(session, [BOX])
        held = leases.take(session, BOX, "a")
        run_out(session)
    assert held is not None
    with database.write() as session:
        leases.check(session, held)
        with database.write() as other:
            assert leases.take(other, BOX, "b") is None  # passed over, not waited for
            other.execute(sqlalchemy.text("SET LOCAL lock_timeout = '2s'"))
            leases.renew(other, [held])
    with database.write() as session:
        assert leases.take(session, BOX, "b") is not None
    database.dispose()


def test_a_host_lives_by_its_beat_and_is_buried_without_one(session: Session) -> None:
    assert hosts.beat(session, "a", "host", 1, {}) is False  # new
    assert hosts.beat(session, "a", "host", 1, {}) is True
    assert hosts.alive(session) == {"a"}
    silent = clock.moment(session, -hosts.SILENCE - timedelta(seconds=1))
    session.execute(sqlalchemy.update(models.Host).values(beat_at=silent))
    assert hosts.alive(session) == frozenset()
    assert hosts.bury(session) == ("a",)
    assert hosts.beat(session, "a", "host", 1, {}) is False  # taken for dead: it hears of it
    assert hosts.alive(session) == {"a"}


def test_the_database_s_clock_is_near_the_true_one_and_aware(session: Session) -> None:
    first, second = clock.now(session), clock.now(session)
    assert first.tzinfo is not None
    assert timedelta() <= second - first < timedelta(seconds=5)
