"""Several `triaged run` on one PostgreSQL: stopped, killed and continued, they lose nothing and double nothing."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from tests.house import desk
from tests.house.test_daemon import COMPLETE, Daemon, decisions, running
from tests.servers import imap_pymap, postgres, smtp_sink

from triaged.adapters.db import clock, engine, hosts, leases, models
from triaged.domain.errors import TransientError
from triaged.workflows import overview

BRISK = (  # the same daemon, whose heart beats faster: a takeover takes two seconds instead of fifteen
    "-c",
    "from triaged import cli, schedule; from triaged.workflows import sharing;"
    "schedule._BEAT, schedule._TAKEOVER, sharing.GRACE = 0.5, 2.0, 2.0; cli.main()",
)

pytestmark = pytest.mark.postgres


@pytest.fixture
def house(
    tmp_path: Path, postgresql: postgres.Postgres, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, postgresql.fresh_database(), pymap, relay.port) as house:
        yield house


def mails(first: int, last: int) -> list[bytes]:
    """One in ten is the same sender's; each has a text of its own, or they would be each other's repetition."""
    return [
        desk.mail(f"{COMPLETE}Ligne {n}\n", number=n, sender=f"contact{n % 10}@integra.example")
        for n in range(first, last)
    ]


def await_that(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        threading.Event().wait(0.1)


def pass_for_dead(house: desk.Installation, daemon: Daemon) -> str:
    """As if the daemon had been silent for half a minute. Its owner."""
    owner = owner_of(daemon)
    with house.app.database.write() as session:
        silent = clock.moment(session, -2 * hosts.SILENCE)
        session.execute(sqlalchemy.update(models.Host).where(models.Host.id == owner).values(beat_at=silent))
    return owner


def owner_of(daemon: Daemon) -> str:
    line = next(line for line in daemon.lines if line.startswith("started "))
    return line.partition("owner=")[2].split()[0]


def holders(house: desk.Installation) -> dict[str, str | None]:
    names = [leases.mailbox(mailbox.name) for mailbox in house.app.settings.mailboxes]
    with house.app.database.read() as session:
        return {name: row.owner for name, row in leases.standing(session, names).items()}


def settled(house: desk.Installation, number: int) -> bool:
    return len(house.tickets()) >= number and not [
        entry for entry in house.queue() if entry.state in ("queued", "sending", "uncertain")
    ]


def assert_nothing_is_lost_or_doubled(house: desk.Installation, relay: smtp_sink.SmtpSink, number: int) -> None:
    assert [record.row["decision"] for record in house.messages()] == ["ticket"] * number
    assert len(house.tickets()) == number
    assert len({record.row["sha256"] for record in house.messages()}) == number
    copies = Counter(one.content for one in relay.deliveries)
    assert set(copies.values()) == {1}
    assert len(copies) == 2 * number  # the sender's and the operator's


def test_each_mailbox_has_one_poller_and_both_hosts_work(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with running(house, BRISK) as first:
        with running(house, BRISK) as second:
            pymap.deliver(house.eu, *mails(0, 12))
            pymap.deliver(house.com, *mails(12, 24))
            await_that(lambda: settled(house, 24))
            both = [len(decisions(daemon.lines)) for daemon in (first, second)]
            assert second.end() == 0
        assert first.end() == 0
    assert sum(both) == 24
    assert set(holders(house).values()) == {None}
    assert_nothing_is_lost_or_doubled(house, relay, 24)
    with house.app.database.read() as session:
        assert hosts.listed(session) == []


def test_a_stopped_host_gives_its_mailboxes_up_at_once(house: desk.Installation) -> None:
    with running(house, BRISK) as first:
        await_that(lambda: set(holders(house).values()) == {owner_of(first)})
        with running(house, BRISK) as second:
            begun = time.monotonic()
            assert first.end() == 0
            await_that(lambda: set(holders(house).values()) == {owner_of(second)})
            assert time.monotonic() - begun < 20  # the other's share at its next beat, the rest after a grace


def test_a_host_that_was_killed_is_known_dead_on_its_machine_without_waiting_for_its_silence(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with running(house, BRISK) as first:
        await_that(lambda: set(holders(house).values()) == {owner_of(first)})
        first.end(signal.SIGKILL)
    begun = time.monotonic()
    with running(house, BRISK) as second:
        assert set(holders(house).values()) == {owner_of(second)}
        assert time.monotonic() - begun < 10
        pymap.deliver(house.eu, *mails(0, 1))
        await_that(lambda: settled(house, 1))
    assert_nothing_is_lost_or_doubled(house, relay, 1)


def test_a_host_that_was_stopped_and_buried_finds_out_and_goes_on_as_a_living_one(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    """SIGSTOP in the middle of the work, burial, takeover by another, a kill -9 of that one, SIGCONT."""
    with running(house, BRISK) as first:
        pymap.deliver(house.eu, *mails(0, 14))
        pymap.deliver(house.com, *mails(14, 28))
        first.await_line(lambda lines: len(decisions(lines)) >= 5)
        first.process.send_signal(signal.SIGSTOP)
        with running(house, BRISK) as second:
            owner = pass_for_dead(house, first)
            second.await_line(lambda lines: any("took over" in line and owner in line for line in lines), 40)
            await_that(lambda: set(holders(house).values()) == {owner_of(second)})
            first.process.send_signal(signal.SIGCONT)
            first.await_line(lambda lines: any("was taken for dead" in line for line in lines))
            second.end(signal.SIGKILL)
        await_that(lambda: set(holders(house).values()) == {owner_of(first)}, 40)
        pymap.deliver(house.eu, *mails(28, 30))
        await_that(lambda: len(house.tickets()) == 30)
        await_that(lambda: not [entry for entry in house.queue() if entry.state in ("queued", "sending")])
        assert first.end() == 0
    assert len(house.messages()) == 30
    assert len({record.row["sha256"] for record in house.messages()}) == 30
    assert len(house.tickets()) == 30
    copies = Counter(one.content for one in relay.deliveries)
    uncertain = [entry for entry in house.queue() if entry.state == "uncertain"]
    assert len(copies) + len(uncertain) >= 60  # what was in DATA at the stop or the kill rests before its resend
    assert set(copies.values()) == {1}


def test_a_host_stopped_inside_a_transaction_keeps_the_others_waiting_no_longer_than_its_death_takes(
    house: desk.Installation,
) -> None:
    """Its locks are freed by the server: 1 s here, 20 s in the field, less than the 30 s of silence."""
    database = house.app.database
    with database.write() as session:
        leases.make(session, ["job:x"])
    with pytest.raises(TransientError, match="database"):
        _stop_inside(database)
    with database.read() as session:
        assert leases.standing(session, ["job:x"])["job:x"].fence == 7


def _stop_inside(database: engine.Database) -> None:
    with database.write(idle=1) as stopped:
        stopped.execute(sqlalchemy.select(models.Lease).with_for_update())
        begun = time.monotonic()
        with database.write() as other:
            other.execute(sqlalchemy.update(models.Lease).values(fence=7))
        assert time.monotonic() - begun < 10
        stopped.execute(sqlalchemy.update(models.Lease).values(fence=8))


def test_one_mail_in_two_mailboxes_of_two_hosts_is_one_ticket_however_they_race(
    house: desk.Installation, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> None:
    with running(house, BRISK) as first, running(house, BRISK) as second:
        both = {owner_of(first), owner_of(second)}
        await_that(lambda: set(holders(house).values()) == both, 60)
        pymap.deliver(house.eu, *mails(0, 15))
        pymap.deliver(house.com, *mails(0, 15))
        await_that(lambda: [record.row["state"] for record in house.messages()] == ["decided"] * 30, 60)
        await_that(lambda: settled(house, 15))
    assert Counter(record.row["decision"] for record in house.messages()) == {"ticket": 15, "duplicate": 15}
    assert len(house.tickets()) == 15
    assert len(relay.deliveries) == 30


def seen(house: desk.Installation) -> overview.Overview:
    return overview.overview(house.app.database, house.app.settings)


def test_status_says_which_host_polls_what_and_that_nobody_needs_to_do_anything(house: desk.Installation) -> None:
    with running(house, BRISK) as first, running(house, BRISK) as second:
        both = {owner_of(first), owner_of(second)}
        await_that(lambda: set(holders(house).values()) == both, 60)
        polling = {"waiting", "polling"}
        await_that(lambda: {box.get("state") for box in seen(house).mailboxes} <= polling)
        assert not [s for s in seen(house).attention if "mailbox" in s]
