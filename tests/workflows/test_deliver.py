"""Delivery from the outbox to a real SMTP server, on both databases: nothing lost, nothing doubled but by doubt."""

import asyncio
import io
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.servers.smtp_sink import SmtpSink

from triaged import log
from triaged.adapters import smtp
from triaged.adapters.db import outbox
from triaged.adapters.db.engine import Database
from triaged.domain.delivery import State
from triaged.domain.errors import TransientError
from triaged.selftest import wire
from triaged.settings.model import Smtp
from triaged.workflows import deliver

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
QUICK = smtp.Pauses(first=0.05, longest=0.2)


class Clock:
    """The time that a test says it is."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, span: timedelta) -> None:
        self.now += span


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> io.StringIO:
    stream = io.StringIO()
    log.configure(stream=stream)
    return stream


def client_of(port: int, **changes: Any) -> smtp.Relay:
    wanted = Smtp(host="127.0.0.1", port=port, security="none", **{"connections": 4, **changes})
    return smtp.Relay(wanted, "support.example", pauses=QUICK)


@pytest.fixture
def client(relay: SmtpSink) -> Iterator[smtp.Relay]:
    client = client_of(relay.port)
    yield client
    client.close()


def owe(database: Database, count: int = 1, first: int = 1, **changes: Any) -> None:
    rows = []
    for number in range(first, first + count):
        values: dict[str, Any] = {
            "cause": f"m{number}",
            "log_id": f"7Q3KX2M8.{number}",
            "notice": "ticket_opened",
            "recipient": f"p{number}@integra.example",
            "envelope_from": "support@vendor.example",
            "subject": "Panne",
            "message_id": f"<{number}@support.example>",
            "body": f"Subject: Panne\r\nMessage-ID: <{number}@support.example>\r\n\r\nBonjour\r\n".encode(),
            "created_at": START,
            "due_at": START,
            "deadline": START + 60 * MINUTE,
        }
        rows.append(outbox.Owed(**{**values, **changes}))
    with database.write() as session:
        outbox.put(session, rows)


def rows(database: Database) -> dict[int, outbox.Entry]:
    with database.read() as session:
        return {row.id: row for row in outbox.entries(session)}


def states(database: Database) -> list[State]:
    return [row.state for row in rows(database).values()]


def run(database: Database, client: smtp.Relay, clock: Clock, owner: str = "me", **options: Any) -> deliver.Delivered:
    return deliver.deliver_due(database, client, owner, clock, **options)


def test_a_mail_is_sent_once_and_the_log_says_so(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock, lines: io.StringIO
) -> None:
    owe(database)

    assert run(database, client, clock) == deliver.Delivered({"sent": 1}, None)
    assert run(database, client, clock) == deliver.Delivered({}, None)

    (mail,) = relay.deliveries
    assert mail.recipients == ("p1@integra.example",)
    assert mail.content == b"Subject: Panne\r\nMessage-ID: <1@support.example>\r\n\r\nBonjour\r\n"
    assert states(database) == [State.SENT]
    assert lines.getvalue() == (
        "7Q3KX2M8.1: sent to=p1@integra.example notice=ticket_opened "
        f'relay=127.0.0.1:{relay.port} attempt=1 status="250 2.0.0 Ok: queued"\n'
    )


def test_a_backlog_goes_out_over_all_connections_each_mail_once(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    owe(database, 50)

    assert run(database, client, clock).counts == {"sent": 50}

    assert sorted(mail.recipients for mail in relay.deliveries) == sorted(
        (f"p{n}@integra.example",) for n in range(1, 51)
    )
    assert relay.connections == 4


def test_the_duty_that_is_due_first_is_sent_first(database: Database, relay: SmtpSink, clock: Clock) -> None:
    for number, minutes in ((1, 60), (2, 5), (3, 30)):
        owe(database, first=number, deadline=START + minutes * MINUTE)
    client = client_of(relay.port, connections=1)

    run(database, client, clock)
    client.close()

    assert [mail.recipients[0] for mail in relay.deliveries] == [f"p{n}@integra.example" for n in (2, 3, 1)]


def test_no_data_leaves_before_sending_is_committed(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    relay.manners.stall_after_dot = threading.Event()
    owe(database)
    work = threading.Thread(target=run, args=(database, client, clock))
    work.start()

    relay.await_deliveries(1)
    assert states(database) == [State.SENDING]

    relay.manners.stall_after_dot.set()
    work.join(10)
    assert states(database) == [State.SENT]


class StallTheFirst(threading.Event):
    """For the sink: set for every connection but the first that asks, until it is set."""

    asked: object = None

    def is_set(self) -> bool:
        self.asked = self.asked or asyncio.current_task()
        return super().is_set() or asyncio.current_task() is not self.asked


def test_a_slow_mail_holds_up_no_other_not_even_one_that_comes_later(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    owe(database)
    relay.manners.stall_after_dot = stalled = StallTheFirst()
    work = threading.Thread(target=run, args=(database, client, clock))
    work.start()
    relay.await_deliveries(1)

    owe(database, 8, first=2)
    _until(lambda: states(database) == [State.SENDING] + [State.SENT] * 8)

    stalled.set()
    work.join(10)
    assert states(database) == [State.SENT] * 9


def test_a_greylisted_mail_goes_again_after_its_rest(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock, lines: io.StringIO
) -> None:
    relay.manners.refuse_recipient = {"p1@integra.example": "451 4.7.1 Greylisted"}
    owe(database)

    delivered = run(database, client, clock)

    assert delivered.counts == {"deferred": 1}
    assert delivered.next_due is not None
    assert timedelta(seconds=54) <= delivered.next_due - START <= timedelta(seconds=66)
    assert re.fullmatch(
        r"7Q3KX2M8\.1: deferred to=p1@integra\.example notice=ticket_opened relay=127\.0\.0\.1:\d+ attempt=1 "
        r'status="451 4\.7\.1 Greylisted" why=greylisted retry_at=2026-03-02T09:0\S+Z\n',
        lines.getvalue(),
    )
    relay.manners.refuse_recipient = {}
    assert run(database, client, clock).counts == {}
    clock.now = delivered.next_due
    assert run(database, client, clock).counts == {"sent": 1}
    assert rows(database)[1].attempts == 2


def test_a_4xx_at_the_dot_is_a_deferral_and_no_doubt(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    relay.manners.at_dot = ["452 4.3.1 disk full"]
    owe(database)

    assert run(database, client, clock).counts == {"deferred": 1}

    assert (rows(database)[1].state, rows(database)[1].doubts) == (State.QUEUED, 0)


def test_a_refused_mail_has_failed_and_the_operator_is_told_what_to_type(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock, lines: io.StringIO
) -> None:
    relay.manners.refuse_recipient = {"p1@integra.example": "550 5.1.1 No such user"}
    owe(database, 2)

    assert run(database, client, clock).counts == {"refused": 1, "sent": 1}

    assert states(database) == [State.FAILED, State.SENT]
    assert 'status="550 5.1.1 No such user" why=mailbox fix="triaged queue retry 1" level=error' in lines.getvalue()


def test_a_relay_that_answers_late_has_one_copy(database: Database, relay: SmtpSink, clock: Clock) -> None:
    """Only the deadline of the last answer may be long: 90 s of silence after the dot are no doubt yet."""
    relay.manners.stall_after_dot = threading.Event()
    wanted = Smtp(host="127.0.0.1", port=relay.port, security="none")
    client = smtp.Relay(wanted, "support.example", deadlines=smtp.Deadlines(connect=0.3, prepare=0.3, transmit=30))
    owe(database)
    work = threading.Thread(target=run, args=(database, client, clock))
    work.start()
    relay.await_deliveries(1)
    slow = time.monotonic() + 0.7
    _until(lambda: time.monotonic() > slow)
    assert states(database) == [State.SENDING]

    relay.manners.stall_after_dot.set()
    work.join(10)
    client.close()
    assert (states(database), len(relay.deliveries)) == ([State.SENT], 1)


def test_no_lease_ends_before_the_longest_answer_that_we_wait_for() -> None:
    longest = smtp.Deadlines()
    whole = timedelta(seconds=longest.connect + longest.prepare + longest.transmit)
    assert timedelta(seconds=longest.transmit) >= timedelta(minutes=10)  # RFC 5321 §4.5.3.2.6
    assert whole < deliver.LEASE


def test_a_421_at_the_dot_is_definite_and_the_next_mail_gets_a_new_connection(
    database: Database, relay: SmtpSink, clock: Clock, lines: io.StringIO
) -> None:
    relay.manners.at_dot = ["421 4.3.2 shutting down"]
    client = client_of(relay.port, connections=1)
    owe(database, 2)

    assert run(database, client, clock).counts == {"deferred": 1, "sent": 1}
    client.close()

    assert [row.doubts for row in rows(database).values()] == [0, 0]
    assert relay.connections == 2
    assert 'status="421 4.3.2 shutting down" why=closing retry_at=' in lines.getvalue()


def test_a_mail_in_doubt_or_waiting_that_is_withdrawn_never_goes(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    relay.manners.drop_after_dot = 1
    relay.manners.refuse_recipient = {"p2@integra.example": "451 4.7.1 Greylisted"}
    owe(database, 2)
    run(database, client, clock)
    relay.manners.refuse_recipient = {}
    with database.write() as session:
        assert outbox.withdraw(session, [1, 2], "superseded") == (1, 2)

    clock.pass_by(timedelta(days=1))
    assert run(database, client, clock) == deliver.Delivered({}, None)
    assert len(relay.deliveries) == 1


def test_a_doubt_that_is_too_old_to_be_resent_is_withdrawn(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    relay.manners.drop_after_dot = 1
    owe(database, not_after=START + MINUTE)
    run(database, client, clock)

    clock.pass_by(deliver.QUIET)
    assert run(database, client, clock).counts == {"withdrawn": 1}
    assert (states(database), len(relay.deliveries)) == ([State.WITHDRAWN], 1)


def test_a_mail_that_is_deferred_for_two_days_has_failed(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock, lines: io.StringIO
) -> None:
    relay.manners.refuse_recipient = {"p1@integra.example": "451 4.7.1 Greylisted"}
    owe(database)
    while (due := run(database, client, clock).next_due) is not None:
        clock.now = due

    assert timedelta(hours=43) < clock.now - START < timedelta(hours=54)
    assert states(database) == [State.FAILED]
    assert "7Q3KX2M8.1: failed " in lines.getvalue()


@pytest.mark.parametrize(("attempt", "minutes"), [(1, 1), (2, 5), (3, 15), (4, 60), (51, 60)])
def test_the_rest_between_attempts_grows_and_each_mail_has_its_own(attempt: int, minutes: int) -> None:
    rests = [deliver.backoff(row, attempt) or timedelta(0) for row in range(200)]

    assert min(rests) >= 0.9 * minutes * MINUTE
    assert max(rests) <= 1.1 * minutes * MINUTE
    assert max(rests) - min(rests) > 0.15 * minutes * MINUTE
    assert rests == [deliver.backoff(row, attempt) for row in range(200)]


def test_a_mail_taken_and_not_answered_rests_is_resent_once_byte_for_byte_and_then_waits_for_a_person(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock, lines: io.StringIO
) -> None:
    relay.manners.drop_after_dot = 2
    owe(database)

    first = run(database, client, clock)
    assert first == deliver.Delivered({"uncertain": 1}, START + deliver.QUIET)
    assert run(database, client, clock).counts == {}

    clock.pass_by(deliver.QUIET)
    assert run(database, client, clock) == deliver.Delivered({"uncertain": 1}, None)
    clock.pass_by(timedelta(days=30))
    assert run(database, client, clock) == deliver.Delivered({}, None)

    first_copy, second_copy = relay.deliveries
    assert first_copy.content == second_copy.content
    assert states(database) == [State.UNCERTAIN]
    warned, alarm = lines.getvalue().splitlines()
    assert warned.endswith("level=warning")
    assert alarm.endswith('fix="ask whether it arrived; if not: triaged queue retry 1" level=error')


def test_after_one_doubt_the_resend_may_succeed(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    relay.manners.drop_after_dot = 1
    owe(database)
    run(database, client, clock)
    clock.pass_by(deliver.QUIET)

    assert run(database, client, clock) == deliver.Delivered({"sent": 1}, None)


def test_a_relay_that_is_away_costs_the_mails_no_attempt(database: Database, clock: Clock, lines: io.StringIO) -> None:
    owe(database, 3)
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        client = client_of(nobody.getsockname()[1])
    for _ in range(4):
        delivered = run(database, client, clock)
        assert delivered.counts == {}
        assert delivered.next_due is not None
        assert delivered.next_due > clock.now
        _until(lambda: client.waits() == 0)
    client.close()

    assert [(row.state, row.attempts) for row in rows(database).values()] == [(State.QUEUED, 0)] * 3
    assert "connect" in (rows(database)[1].last_error or "").lower()
    assert [line.split()[0] for line in lines.getvalue().splitlines()] == ["relay_down"]


def test_a_refused_log_in_stops_the_relay_and_not_the_mail(
    database: Database, clock: Clock, lines: io.StringIO
) -> None:
    sink = SmtpSink(login=("relay-user", "right"))
    client = client_of(sink.port)
    owe(database, 2)

    delivered = run(database, client, clock)
    client.close()
    sink.stop()

    assert delivered.counts == {}
    assert [(row.state, row.attempts) for row in rows(database).values()] == [(State.QUEUED, 0)] * 2
    (line,) = lines.getvalue().splitlines()
    assert line.startswith("relay_down ")
    assert line.endswith("level=error")
    with database.read() as session:
        count, reason = outbox.relay_trouble(session, f"127.0.0.1:{sink.port}: ", clock())
    assert (count, "username and password" in reason) == (2, True)


def test_a_mail_whose_bytes_were_purged_fails_and_says_so(database: Database, client: smtp.Relay, clock: Clock) -> None:
    owe(database)
    with database.write() as session:
        session.connection().exec_driver_sql("UPDATE outbox SET body = NULL")

    assert run(database, client, clock).counts == {"refused": 1}
    assert "purged" in (rows(database)[1].last_error or "")


def test_a_mail_that_is_no_longer_true_is_withdrawn_and_said(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock, lines: io.StringIO
) -> None:
    owe(database, not_after=START - MINUTE)

    assert run(database, client, clock) == deliver.Delivered({"withdrawn": 1}, None)
    assert relay.deliveries == []
    assert "7Q3KX2M8.1: withdrawn " in lines.getvalue()


def test_a_held_mail_is_not_sent(database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock) -> None:
    owe(database, 2, recipient="p@integra.example", braked=True)

    assert run(database, client, clock) == deliver.Delivered({"sent": 1}, None)
    assert states(database) == [State.SENT, State.HELD]


# Crashes: a daemon that died is one that claimed and never came back


def test_a_crash_after_the_claim_loses_nothing_and_doubles_nothing(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    owe(database)
    with database.write() as session:
        outbox.claim(session, "dead", clock(), 1, deliver.LEASE)
    assert run(database, client, clock).counts == {}

    deliver.recover(database, "me", clock)

    assert run(database, client, clock).counts == {"sent": 1}
    assert len(relay.deliveries) == 1


def test_a_crash_after_sending_was_committed_is_a_doubt_and_is_resent_after_the_quiet_time(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock, lines: io.StringIO
) -> None:
    owe(database)
    with database.write() as session:
        claims = outbox.claim(session, "dead", clock(), 1, deliver.LEASE)
        outbox.mark_sending(session, claims.rows, clock(), deliver.LEASE)

    deliver.recover(database, "me", clock)
    assert run(database, client, clock) == deliver.Delivered({}, START + deliver.QUIET)
    assert "7Q3KX2M8.1: uncertain " in lines.getvalue()

    clock.pass_by(deliver.QUIET)
    assert run(database, client, clock).counts == {"sent": 1}
    assert len(relay.deliveries) == 1


def test_rows_that_an_earlier_round_of_ours_left_behind_are_taken_up(
    database: Database, client: smtp.Relay, clock: Clock
) -> None:
    owe(database)
    with database.write() as session:
        outbox.claim(session, "me", clock(), 1, deliver.LEASE)

    assert run(database, client, clock).counts == {"sent": 1}


def test_a_row_that_an_operator_holds_between_claim_and_data_is_not_sent(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    owe(database)

    class Meddled:
        """The database as it is, and an operator who is quick: he holds the row once it is claimed."""

        def __init__(self) -> None:
            self.commits = 0

        def read(self) -> Any:
            return database.read()

        def write(self) -> Any:
            self.commits += 1
            if self.commits == 2:
                with database.write() as session:
                    assert outbox.hold(session, [1], "wait") == (1,)
            return database.write()

    meddled: Any = Meddled()
    assert run(meddled, client, clock).counts == {}

    assert states(database) == [State.HELD]
    assert relay.deliveries == []


@pytest.mark.parametrize("failures", [1, 2])
def test_an_answer_is_stored_as_soon_as_the_database_is_back_and_the_mail_is_not_sent_again(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock, lines: io.StringIO, failures: int
) -> None:
    owe(database)

    class Away:
        """The database, away for a moment once the mail is sent."""

        left = failures

        def read(self) -> Any:
            return database.read()

        def write(self) -> Any:
            if relay.deliveries and self.left:
                self.left -= 1
                raise TransientError("database: disk is full")
            return database.write()

    away: Any = Away()
    assert run(away, client, clock).counts == {"sent": 1}

    assert len(relay.deliveries) == 1
    assert lines.getvalue().count("answers_not_stored reason=") == failures


def test_two_writers_that_met_before_data_go_on_at_once(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock, lines: io.StringIO
) -> None:
    owe(database)

    class Crossed:
        """The database, which ends the second transaction as after a deadlock: that before DATA."""

        commits = 0

        def read(self) -> Any:
            return database.read()

        def write(self) -> Any:
            self.commits += 1
            if self.commits == 2:
                raise TransientError("database: deadlock detected")
            return database.write()

    crossed: Any = Crossed()
    assert run(crossed, client, clock).counts == {"sent": 1}

    assert (len(relay.deliveries), relay.connections) == (1, 1)
    assert lines.getvalue().count("not_stored reason=") == 1


# Stop


def test_a_stop_claims_no_more_and_lets_data_in_progress_end(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    relay.manners.stall_after_dot = threading.Event()
    owe(database, 6)
    stop = threading.Event()
    done: list[deliver.Delivered] = []
    work = threading.Thread(target=lambda: done.append(run(database, client, clock, stop=stop)))
    work.start()
    relay.await_deliveries(4)

    stop.set()
    relay.manners.stall_after_dot.set()
    work.join(10)

    assert done[0].counts == {"sent": 4}
    assert states(database) == [State.SENT] * 4 + [State.QUEUED] * 2
    assert [row.attempts for row in rows(database).values()] == [1] * 4 + [0] * 2


def test_a_mail_that_is_ready_when_the_stop_comes_is_given_back_untried(
    database: Database, relay: SmtpSink, clock: Clock
) -> None:
    watched = wire.Wire(relay.port)
    watched.stall()
    client = client_of(watched.port)
    owe(database)
    stop = threading.Event()
    done: list[deliver.Delivered] = []
    work = threading.Thread(target=lambda: done.append(run(database, client, clock, stop=stop)))
    work.start()
    _until(lambda: rows(database)[1].attempts == 1)

    stop.set()
    watched.heal()
    work.join(10)
    client.close()
    watched.stop()

    assert done[0].counts == {}
    assert (rows(database)[1].state, rows(database)[1].attempts) == (State.QUEUED, 0)
    assert relay.deliveries == []


def test_a_stop_loses_patience_with_a_relay_that_does_not_answer(
    database: Database, relay: SmtpSink, client: smtp.Relay, clock: Clock
) -> None:
    relay.manners.stall_after_dot = threading.Event()
    owe(database)
    stop = threading.Event()
    done: list[deliver.Delivered] = []
    work = threading.Thread(target=lambda: done.append(run(database, client, clock, stop=stop, patience=0.2)))
    work.start()
    relay.await_deliveries(1)
    started = time.monotonic()

    stop.set()
    work.join(10)

    assert time.monotonic() - started < 5
    assert done[0].counts == {"uncertain": 1}


def test_a_stop_that_came_first_claims_nothing(database: Database, client: smtp.Relay, clock: Clock) -> None:
    owe(database)
    stop = threading.Event()
    stop.set()

    assert run(database, client, clock, stop=stop) == deliver.Delivered({}, START)


# Several deliverers


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_two_deliverers_on_one_database_send_every_mail_once(database: Database, relay: SmtpSink, clock: Clock) -> None:
    owe(database, 80)
    together = threading.Barrier(2)
    counts: dict[str, int] = {}

    def work(owner: str) -> None:
        client = client_of(relay.port)
        together.wait()
        counts[owner] = run(database, client, clock, owner).counts.get("sent", 0)
        client.close()

    threads = [threading.Thread(target=work, args=(owner,)) for owner in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sorted(mail.recipients for mail in relay.deliveries) == sorted(
        (f"p{n}@integra.example",) for n in range(1, 81)
    )
    assert sum(counts.values()) == 80
    assert min(counts.values()) > 0


def _until(true: Callable[[], bool], within: float = 5) -> None:
    end = time.monotonic() + within
    while not true():
        assert time.monotonic() < end, "it never came true"
        threading.Event().wait(0.005)
