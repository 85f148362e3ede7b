"""The outbox on both databases: who may send a row, in which order, and what becomes of it."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import exc

from triaged.adapters.db import brakes, hosts, outbox
from triaged.adapters.db.engine import Database
from triaged.adapters.db.models import Ticket
from triaged.domain import delivery
from triaged.domain.delivery import State

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEASE = 15 * MINUTE
QUIET = 10 * MINUTE
OK = delivery.Sent("250 2.0.0 Ok")
LOST = delivery.Uncertain("no answer after the mail was given: Connection lost")


def owed(number: int = 1, **changes: object) -> outbox.Owed:
    row = outbox.Owed(
        cause=f"m{number}",
        log_id=f"AAAAAAA{number}.1",
        notice="ticket_opened",
        recipient="contact@integra.example",
        envelope_from="support@vendor.example",
        subject="Panne [EU-000123]",
        message_id=f"<eu-000123.{number}@support.example>",
        body=b"Subject: Panne\r\n\r\nBonjour\r\n",
        created_at=NOW,
        due_at=NOW,
        deadline=NOW + 60 * MINUTE,
    )
    return replace(row, **changes)  # type: ignore[arg-type]  # a test's keyword arguments are Owed's own


def put(database: Database, *rows: outbox.Owed, **options: brakes.Limits) -> tuple[str, ...]:
    with database.write() as session:
        return outbox.put(session, rows, **options)


def claim(database: Database, owner: str = "me", now: datetime = NOW, limit: int = 10) -> tuple[outbox.Claimed, ...]:
    with database.write() as session:
        return outbox.claim(session, owner, now, limit, LEASE).rows


def start_sending(database: Database, *rows: outbox.Claimed) -> frozenset[int]:
    with database.write() as session:
        return outbox.mark_sending(session, rows, NOW, LEASE)


def settle(
    database: Database,
    row: outbox.Claimed,
    answer: delivery.Answer,
    now: datetime = NOW,
    retry_at: datetime | None = None,
) -> State | None:
    with database.write() as session:
        return outbox.settle(session, row, answer, now, retry_at, QUIET)


def recover(database: Database, *alive: str, now: datetime = NOW) -> outbox.Recovered:
    """By somebody else, while these hosts live."""
    with database.write() as session:
        for owner in alive:
            hosts.beat(session, owner, "host", 1, {})
        return outbox.recover(session, "somebody else", now, QUIET)


def entry(database: Database, number: int = 1) -> outbox.Entry:
    with database.read() as session:
        found = outbox.entry(session, number)
    assert found is not None
    return found


def test_the_same_debt_is_owed_once_however_often_it_is_put(database: Database) -> None:
    put(database, owed(), owed(2))
    put(database, owed(message_id="<other@support.example>"))

    with database.read() as session:
        assert [row.message_id for row in outbox.entries(session)] == [
            "<eu-000123.1@support.example>",
            "<eu-000123.2@support.example>",
        ]


def test_a_message_id_used_twice_is_an_error_and_never_a_mail_that_silently_is_not_owed(database: Database) -> None:
    put(database, owed())

    with pytest.raises(exc.IntegrityError):
        put(database, owed(2, message_id=owed().message_id))


def test_rows_are_claimed_by_the_deadline_of_their_duty_and_not_first_in_first_out(database: Database) -> None:
    put(database, *(owed(n, deadline=NOW + minutes * MINUTE) for n, minutes in ((1, 30), (2, 5), (3, 60), (4, 10))))

    assert [row.id for row in claim(database, limit=3)] == [2, 4, 1]
    assert [row.id for row in claim(database, limit=3)] == [3]
    assert claim(database) == ()


def test_a_row_that_is_not_due_yet_waits_and_says_until_when(database: Database) -> None:
    put(database, owed(due_at=NOW + 5 * MINUTE))

    assert claim(database) == ()
    with database.read() as session:
        assert outbox.oldest_due(session) == NOW + 5 * MINUTE
    assert [row.id for row in claim(database, now=NOW + 5 * MINUTE)] == [1]
    with database.read() as session:
        assert outbox.oldest_due(session) is None


def test_a_claim_counts_the_attempt_and_raises_the_fence_before_the_work(database: Database) -> None:
    put(database, owed())

    (row,) = claim(database)

    assert (row.attempts, row.fence, row.state, row.body) == (1, 1, State.QUEUED, owed().body)
    assert entry(database).attempts == 1


def test_a_row_past_its_not_after_is_withdrawn_by_the_claim_and_makes_room_for_the_next(database: Database) -> None:
    put(database, owed(not_after=NOW - MINUTE, deadline=NOW), owed(2))

    with database.write() as session:
        claims = outbox.claim(session, "me", NOW, 1, LEASE)

    assert [row.id for row in claims.rows] == [2]
    assert [row.id for row in claims.withdrawn] == [1]
    assert entry(database).state == State.WITHDRAWN


def test_sent_is_the_end(database: Database) -> None:
    put(database, owed())
    (row,) = claim(database)
    assert start_sending(database, row) == {1}
    assert entry(database).state == State.SENDING

    assert settle(database, row, OK, NOW + MINUTE) == State.SENT

    assert entry(database).sent_at == NOW + MINUTE
    assert claim(database, now=NOW + 1000 * MINUTE) == ()


def test_a_deferred_row_waits_in_the_queue_until_its_retry(database: Database) -> None:
    put(database, owed())
    (row,) = claim(database)

    assert settle(database, row, delivery.Deferred("451 4.7.1 Greylisted"), retry_at=NOW + MINUTE) == State.QUEUED

    assert entry(database).last_error == "451 4.7.1 Greylisted"
    assert claim(database) == ()
    assert [again.attempts for again in claim(database, now=NOW + MINUTE)] == [2]


def test_a_row_deferred_for_the_last_time_has_failed_and_says_so(database: Database) -> None:
    put(database, owed())
    (row,) = claim(database)

    assert settle(database, row, delivery.Deferred("451 4.7.1 Greylisted"), retry_at=None) == State.FAILED
    assert entry(database).last_error == "gave up after 1 attempts: 451 4.7.1 Greylisted"


def test_a_refused_row_has_failed(database: Database) -> None:
    put(database, owed())
    (row,) = claim(database)

    assert settle(database, row, delivery.Refused("550 5.1.1 No such user")) == State.FAILED
    assert entry(database).last_error == "550 5.1.1 No such user"


def test_a_doubt_rests_is_resent_once_and_then_stays_uncertain(database: Database) -> None:
    put(database, owed())
    (row,) = claim(database)
    assert settle(database, row, LOST) == State.UNCERTAIN
    assert claim(database, now=NOW + QUIET - MINUTE) == ()

    (again,) = claim(database, now=NOW + QUIET)
    assert (again.body, again.doubts, again.state) == (row.body, 1, State.UNCERTAIN)
    assert settle(database, again, LOST) == State.UNCERTAIN

    assert claim(database, now=NOW + 10_000 * MINUTE) == ()
    with database.read() as session:
        assert outbox.oldest_due(session) is None
        assert outbox.counts(session)[State.UNCERTAIN] == 1


def test_a_resend_that_is_deferred_is_still_a_doubt_and_one_that_is_refused_says_it_may_have_arrived(
    database: Database,
) -> None:
    put(database, owed())
    (row,) = claim(database)
    settle(database, row, LOST)
    (again,) = claim(database, now=NOW + QUIET)

    assert settle(database, again, delivery.Deferred("451 later"), retry_at=NOW + QUIET) == State.UNCERTAIN
    (third,) = claim(database, now=NOW + QUIET)
    assert settle(database, third, delivery.Refused("550 no")) == State.FAILED
    assert "may have arrived" in (entry(database).last_error or "")


def test_a_claim_given_back_costs_no_attempt(database: Database) -> None:
    put(database, owed())
    (row,) = claim(database)

    with database.write() as session:
        outbox.give_back(session, row, "relay:587: connection refused")

    assert (entry(database).attempts, entry(database).last_error) == (0, "relay:587: connection refused")
    assert [again.attempts for again in claim(database)] == [1]


def test_what_a_dead_daemon_only_claimed_is_queued_again_at_once_with_its_attempt_counted(database: Database) -> None:
    put(database, owed(), owed(2))
    claim(database, "dead", limit=1)
    claim(database, "alive", limit=1)

    recovered = recover(database, "alive")

    assert [row.id for row in recovered.requeued] == [1]
    assert recovered.doubted == ()
    assert [(row.id, row.attempts) for row in claim(database)] == [(1, 2)]


def test_what_a_dead_daemon_was_sending_is_a_doubt_twice_at_most(database: Database) -> None:
    put(database, owed())
    for doubts in (1, 2):
        start_sending(database, *claim(database, "dead", now=NOW + doubts * QUIET))
        recovered = recover(database, now=NOW + doubts * QUIET)
        assert [(row.id, row.doubts) for row in recovered.doubted] == [(1, doubts)]
        assert entry(database).state == State.UNCERTAIN
        assert claim(database, now=NOW + doubts * QUIET) == ()

    assert claim(database, now=NOW + 1000 * MINUTE) == ()


def test_a_lease_that_ran_out_is_recovered_even_from_a_living_owner(database: Database) -> None:
    put(database, owed())
    claim(database, "hung")

    assert recover(database, "hung", now=NOW + LEASE).requeued == ()
    assert [row.id for row in recover(database, "hung", now=NOW + LEASE + MINUTE).requeued] == [1]


def test_an_owner_takes_up_its_own_rows_when_nothing_is_under_way(database: Database) -> None:
    put(database, owed(), owed(2), owed(3))
    start_sending(database, *claim(database, "me", limit=1))
    claim(database, "me", limit=1)
    claim(database, "other", limit=1)

    with database.write() as session:
        assert outbox.holds(session, "me")
        recovered = outbox.recover_from(session, "me", NOW, QUIET)
        assert not outbox.holds(session, "me")

    assert [row.id for row in recovered.doubted] == [1]
    assert [row.id for row in recovered.requeued] == [2]


def test_whoever_lost_the_row_to_another_may_neither_send_nor_settle_it(database: Database) -> None:
    put(database, owed())
    (old,) = claim(database, "paused")
    recover(database)
    (new,) = claim(database, "successor")

    assert start_sending(database, old) == frozenset()
    assert settle(database, old, delivery.Refused("550 no")) is None
    assert start_sending(database, new) == {1}
    assert settle(database, old, LOST) is None
    assert settle(database, new, OK) == State.SENT


def test_a_late_word_that_the_mail_was_taken_ends_the_doubt(database: Database) -> None:
    put(database, owed())
    (row,) = claim(database, "paused")
    start_sending(database, row)
    recover(database)

    assert settle(database, row, OK) == State.SENT
    assert claim(database, now=NOW + QUIET) == ()


def test_storing_an_answer_twice_changes_nothing(database: Database) -> None:
    put(database, owed())
    (row,) = claim(database)

    assert settle(database, row, LOST) == State.UNCERTAIN
    assert settle(database, row, LOST) == State.UNCERTAIN

    assert entry(database).doubts == 1


def test_operators_hold_release_retry_and_withdraw_and_learn_what_could_not_be(database: Database) -> None:
    put(database, owed(), owed(2))
    (sending, _) = claim(database)
    start_sending(database, sending)

    with database.write() as session:
        assert outbox.hold(session, [1, 2], "the partner phoned") == (2,)
    assert entry(database, 2).last_error == "held: the partner phoned"
    assert claim(database) == ()

    with database.write() as session:
        assert outbox.release(session, [1, 2], NOW) == (2,)
    (released,) = claim(database)
    settle(database, released, delivery.Refused("550 no"))

    with database.write() as session:
        assert outbox.retry(session, [1, 2], NOW) == (2,)
    assert [(row.id, row.attempts) for row in claim(database)] == [(2, 1)]

    with database.write() as session:
        assert outbox.withdraw(session, [1, 2], "superseded") == (2,)
    assert entry(database, 2).state == State.WITHDRAWN


def test_a_row_held_after_it_was_claimed_is_not_sent(database: Database) -> None:
    put(database, owed())
    (row,) = claim(database)
    with database.write() as session:
        outbox.hold(session, [1], "wait")

    assert start_sending(database, row) == frozenset()


def test_an_uncertain_row_that_a_person_retries_gets_its_resend_back(database: Database) -> None:
    put(database, owed())
    for when in (NOW, NOW + QUIET):
        (row,) = claim(database, now=when)
        settle(database, row, LOST, now=when)

    with database.write() as session:
        assert outbox.retry(session, [1], NOW) == (1,)

    assert [(again.state, again.doubts) for again in claim(database)] == [(State.QUEUED, 0)]


def test_a_brake_holds_the_second_automatic_mail_to_an_address_and_it_stays_visible(database: Database) -> None:
    assert put(database, owed(braked=True)) == ()
    assert put(database, owed(2, braked=True, created_at=NOW + MINUTE)) == ("AAAAAAA2.1",)

    assert [row.id for row in claim(database)] == [1]
    held = entry(database, 2)
    assert held.state == State.HELD
    assert held.last_error == "brake: limit: 1 to this address in 24 h"
    with database.write() as session:
        outbox.release(session, [2], NOW)
    assert [row.id for row in claim(database)] == [2]


def test_brakes_count_within_their_window_and_count_only_braked_mail(database: Database) -> None:
    put(database, *(owed(n) for n in range(1, 6)))
    put(database, owed(6, braked=True))
    with database.read() as session:
        assert brakes.allowed(session, owed().recipient, NOW + MINUTE) != ""
        assert brakes.allowed(session, owed().recipient, NOW + timedelta(days=1)) == ""
        assert brakes.allowed(session, "other@integra.example", NOW + MINUTE) == ""

    put(database, *(owed(n) for n in range(7, 10)))
    with database.read() as session:
        assert outbox.counts(session)[State.HELD] == 0


@pytest.mark.parametrize(
    ("recipient", "brake"),
    [
        ("b@corp.example", "limit: 2 to corp.example in 1 h"),
        ("b@c_rp.example", "limit: 3 in 1 h"),
        ("b@evilcorp.example", "limit: 3 in 1 h"),
    ],
)
def test_brakes_per_domain_and_in_all_name_what_they_counted(database: Database, recipient: str, brake: str) -> None:
    limits = brakes.Limits(per_domain=2, in_all=3)
    others = ["a1@corp.example", "a2@corp.example", "a@third.example"]
    rows = [owed(number, braked=True, recipient=address) for number, address in enumerate(others, 1)]
    assert put(database, *rows, limits=limits) == ()

    with database.read() as session:
        assert brakes.allowed(session, recipient, NOW, limits) == brake


def test_the_queue_is_listed_for_people_with_the_ticket_and_for_programs_with_fixed_keys(database: Database) -> None:
    with database.write() as session:
        session.add(_ticket("EU-000123"))
    put(database, owed(ticket_id=1), owed(2, due_at=NOW + MINUTE))

    with database.read() as session:
        (of_ticket,) = outbox.entries(session, ticket="EU-000123")
        assert [row.id for row in outbox.entries(session, [State.QUEUED])] == [1, 2]
        assert [row.id for row in outbox.entries(session, limit=1)] == [2]
        assert outbox.entries(session, [State.SENT]) == ()
        assert outbox.body(session, 1) == owed().body
        assert outbox.entry(session, 3) is None
        assert outbox.counts(session)[State.QUEUED] == 2
        assert outbox.oldest_due(session) == NOW

    assert of_ticket.document() == {
        "id": 1,
        "notice": "ticket_opened",
        "to": "contact@integra.example",
        "subject": "Panne [EU-000123]",
        "message_id": "<eu-000123.1@support.example>",
        "state": "queued",
        "attempts": 0,
        "due_at": NOW,
        "last_error": None,
        "ticket": "EU-000123",
        "contract": None,
        "delayed_at": None,
        "delivered_at": None,
        "bounced_at": None,
    }


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_claim_looks_at_the_rows_it_takes_and_not_at_the_whole_backlog(database: Database) -> None:
    """Time per mail stays constant (DESIGN §6): the order comes from an index, nothing is sorted."""
    put(database, *(owed(n) for n in range(1, 4)))
    seen: list[tuple[str, tuple[object, ...]]] = []

    def watch(*call: Any) -> None:
        seen.append((call[2], call[3]))

    sqlalchemy.event.listen(database.engine, "before_cursor_execute", watch)
    claim(database, limit=2)

    query, given = next((sql, given) for sql, given in seen if "ORDER BY" in sql and "queued" in given)
    with database.read() as session:
        plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", given).all()
    assert "ix_outbox_order" in str(plan)
    assert "TEMP B-TREE" not in str(plan)


@pytest.mark.parametrize("database_url", [pytest.param("postgresql", marks=pytest.mark.postgres)], indirect=True)
def test_two_owners_at_the_same_time_never_claim_the_same_row(database: Database) -> None:
    put(database, *(owed(n) for n in range(1, 101)))
    taken: dict[str, list[int]] = {"one": [], "two": []}
    together = threading.Barrier(2)

    def work(owner: str) -> None:
        together.wait()
        while rows := claim(database, owner, limit=4):
            taken[owner] += [row.id for row in rows]

    threads = [threading.Thread(target=work, args=(owner,)) for owner in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken["one"] + taken["two"]) == list(range(1, 101))
    assert min(len(ids) for ids in taken.values()) > 0


def _ticket(number: str) -> Ticket:
    return Ticket(
        number=number,
        state="open",
        region="eu",
        mailbox="partners-eu",
        severity="S1",
        reason="large_account",
        subject="Panne",
        requester="contact@integra.example",
        locale="fr",
        evidence=[],
        missing=[],
        opened_at=NOW,
        due_acknowledge=NOW,
        due_determine=NOW,
        due_resolve=NOW,
    )
