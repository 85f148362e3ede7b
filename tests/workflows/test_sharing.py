"""Mailboxes shared over hosts: one poller each, about as many each, taken over from whoever dies or hangs."""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import pytest
import sqlalchemy
from tests.servers import imap_pymap

from triaged.adapters.db import casebook, clock, engine, hosts, leases, ledger, models
from triaged.workflows import intake, sharing, vitals

TEN = [f"box{n}" for n in range(10)]
EML = b"From: a@integra.example\r\nSubject: x\r\nMessage-ID: <1@integra.example>\r\n\r\nHello\r\n"


class Host:
    """One daemon's part in the sharing; `turn` is a beat, then whatever its mailboxes' threads would do."""

    def __init__(self, database: engine.Database, owner: str, boxes: list[str], grace: float = 0.0) -> None:
        self.database, self.owner = database, owner
        self.shares = sharing.Sharing(database, owner, boxes, grace)
        self.tenures = {box: self.shares.tenure(box) for box in boxes}
        self.beat()

    def beat(self, **status: object) -> None:
        with self.database.write() as session:
            hosts.beat(session, self.owner, self.owner, 1, status)

    def turn(self, hung: tuple[str, ...] = ()) -> None:
        self.beat()
        self.shares.turn(hung)
        for tenure in self.tenures.values():
            if not tenure.mine():
                tenure.leave()
                tenure.wait(0)

    @property
    def polls(self) -> set[str]:
        return {box for box, tenure in self.tenures.items() if tenure.mine()}


def turns(*found: Host, times: int = 12) -> None:
    for _ in range(times):
        for host in found:
            host.turn()
        polled = [box for host in found for box in host.polls]
        assert len(polled) == len(set(polled))  # never two pollers


def let_run_out(database: engine.Database, owner: str) -> None:
    with database.write() as session:
        ended = clock.moment(session)
        session.execute(sqlalchemy.update(models.Lease).where(models.Lease.owner == owner).values(until=ended))


def test_a_host_that_is_alone_polls_everything_at_once(database: engine.Database) -> None:
    host = Host(database, "a", TEN, grace=60)
    host.turn()
    assert host.polls == set(TEN)


def test_hosts_that_start_together_take_half_each(database: engine.Database) -> None:
    first, second = Host(database, "a", TEN, grace=60), Host(database, "b", TEN, grace=60)
    turns(first, second, times=2)
    assert [len(first.polls), len(second.polls)] == [5, 5]


def test_a_host_that_comes_later_gets_its_part_one_by_one_and_then_nothing_moves_any_more(
    database: engine.Database,
) -> None:
    first = Host(database, "a", TEN)
    first.turn()
    second = Host(database, "b", TEN)
    first.turn()
    first.turn()
    assert len(first.polls) >= 8  # not torn away all at once
    turns(first, second, times=20)
    settled = [first.polls, second.polls]
    assert [len(part) for part in settled] == [5, 5]
    turns(first, second)
    assert [first.polls, second.polls] == settled


def test_a_mailbox_that_nobody_else_wants_comes_back_and_stays(database: engine.Database) -> None:
    first, other = Host(database, "a", ["eu", "com"]), Host(database, "b", ["us"])
    turns(first, other, times=20)
    assert first.polls == {"eu", "com"}
    with database.read() as session:
        fences = {name: row.fence for name, row in leases.standing(session, ["mailbox:eu", "mailbox:com"]).items()}
    turns(first, other, times=20)
    with database.read() as session:
        assert {n: r.fence for n, r in leases.standing(session, list(fences)).items()} == fences


def test_what_a_host_leaves_or_dies_with_is_polled_by_the_others(database: engine.Database) -> None:
    first, second = Host(database, "a", TEN), Host(database, "b", TEN)
    turns(first, second)
    with database.write() as session:
        leases.orphaned(session, ["b"])
        hosts.leave(session, "a")
    second.turn()
    assert second.polls == set(TEN)
    assert first.polls  # stopped, it knows nothing yet …
    for box in list(first.polls):
        with pytest.raises(leases.Lost), database.write() as session:
            first.tenures[box].check(session)
    first.shares.turn()
    assert first.polls == set()  # … until it looks


def test_run_once_takes_what_is_free_and_does_not_count_as_a_host_to_share_with(database: engine.Database) -> None:
    daemon = Host(database, "a", ["eu", "com"], grace=60)
    daemon.turn()
    once = Host(database, "b", ["eu", "com", "us"], grace=60)
    once.beat(**{hosts.ONCE: {}})
    once.shares.turn(all_free=True)
    assert once.shares.held() == ("mailbox:us",)
    turns(daemon)
    assert daemon.polls == {"eu", "com"}


def test_a_mailbox_s_thread_that_hangs_loses_its_mailbox_and_gets_no_other(database: engine.Database) -> None:
    first, second = Host(database, "a", ["eu"]), Host(database, "b", ["eu"])
    first.turn()
    let_run_out(database, "a")
    first.shares.turn(hung=["mailbox:eu"])  # a beat that sees it hang renews nothing
    second.turn()
    assert second.polls == {"eu"}
    first.shares.turn(hung=["mailbox:eu"])
    assert first.polls == set()
    let_run_out(database, "b")
    first.shares.turn(hung=["mailbox:eu"])
    assert first.shares.held() == ()
    first.shares.turn()
    assert first.shares.held() == ("mailbox:eu",)


# --- the mailbox's thread


def an_intake(database: engine.Database, pymap: imap_pymap.Pymap, host: Host, **changes: object) -> intake.Intake:
    given = {"mailbox": pymap.mailbox(), "database": database, "limit": 1 << 20, "now": lambda: datetime.now(UTC)}
    return intake.Intake(**{**given, "tenure": next(iter(host.tenures.values())), **changes})  # type: ignore[arg-type]


def test_a_poll_whose_mailbox_another_host_took_meanwhile_stores_nothing(
    database: engine.Database, pymap: imap_pymap.Pymap
) -> None:
    host = Host(database, "a", ["eu"])
    host.turn()

    def steal(_name: str, state: Mapping[str, object]) -> None:
        if state["state"] == "polling":
            let_run_out(database, "a")
            with database.write() as session:
                assert leases.take(session, "mailbox:eu", "b") is not None

    box = pymap.mailbox()
    one = an_intake(database, pymap, host, mailbox=box, progress=steal)
    pymap.deliver(box, EML)
    with pytest.raises(leases.Lost):
        intake.drain(one)
    with database.read() as session:
        assert casebook.listed(session) == []
        assert ledger.position(session, one.mailbox.name) is not None  # begun while it was still ours
    assert len(pymap.mails(box)) == 1


def await_that(condition: Callable[[], bool], seconds: float = 10) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        threading.Event().wait(0.02)


def test_a_thread_that_hangs_after_its_commit_is_overtaken_and_comes_back_as_one_that_waits(
    database: engine.Database, pymap: imap_pymap.Pymap
) -> None:
    host, other, lives = Host(database, "a", ["eu"]), Host(database, "b", ["eu"]), vitals.Vitals(slack=0.2)
    go_on, stop = threading.Event(), threading.Event()
    host.shares.turn()
    states: list[object] = []
    box = pymap.mailbox()
    pymap.deliver(box, EML)
    one = an_intake(
        database,
        pymap,
        host,
        mailbox=box,
        stop=stop,
        wake=lambda: go_on.wait(20),
        pulse=lambda seconds: lives.pulse("mailbox:eu", min(seconds, 0.3)),
        progress=lambda _name, state: states.append(state["state"]),
    )
    thread = threading.Thread(target=intake.watch, args=(one,))
    thread.start()
    try:
        await_that(lambda: "mailbox:eu" in lives.overdue())
        let_run_out(database, "a")
        host.shares.turn(hung=lives.overdue())
        other.turn()
        assert other.polls == {"eu"}
        go_on.set()
        await_that(lambda: states[-1:] == ["elsewhere"])
        assert lives.overdue() == ()
    finally:
        go_on.set()
        stop.set()
        thread.join(10)
    assert not thread.is_alive()
    with database.read() as session:
        assert len(casebook.listed(session)) == 1
