"""Floods: every mail keeps its row, its ticket and its decision; answers stop where nobody vouches for their readers or
they would say the same again; the operator is told once; one more mail costs what the first one cost (DESIGN §4.6)."""

import io
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy
from tests.house import desk
from tests.house.test_contracts import RESELLER, order
from tests.threats.threatened import FRENCH, LARGE, PARTNER, STRANGER, House, letter, words_of

from triaged import log
from triaged.adapters.db import alarms as db_alarms
from triaged.adapters.db import brakes, models
from triaged.workflows import overview

MANY = 25
VICTIM = "victim@integra.example"


def alarms(logged: io.StringIO) -> list[str]:
    return [line for line in logged.getvalue().splitlines() if line.startswith("alarm ")]


def attention(house: House) -> str:
    return "\n".join(overview.overview(house.app.database, house.app.settings).attention)


def states(house: House) -> Counter[str]:
    return Counter(entry.state.value for entry in house.queue())


def test_a_flood_from_nobody_is_tickets_one_receipt_and_one_alarm(either_house: House, logged: io.StringIO) -> None:
    receipts = either_house.receive(*(letter(f"Flot {n}\n", verdict="dmarc=none") for n in range(MANY)))
    assert {(one["decision"], one["reason"]) for one in receipts} == {("ticket", "unauthenticated_sender")}
    assert len(either_house.installation.tickets()) == MANY
    assert states(either_house) == {"queued": 1, "held": MANY - 1}
    (told,) = alarms(logged)
    assert "a brake holds answers" in told
    assert f"{MANY - 1} mails held" in attention(either_house)
    assert "a brake holds answers" in attention(either_house)


def test_the_alarm_comes_again_after_an_hour_and_leaves_status_after_a_day(house: House, logged: io.StringIO) -> None:
    now = datetime.now(UTC)
    for minutes in (0, 1, 30, 59, 61):
        house.receive(*(letter(verdict=None) for _ in range(2)), at=now + timedelta(minutes=minutes))
    assert len(alarms(logged)) == 2
    with house.app.database.write() as session:
        session.execute(sqlalchemy.update(models.Inspection).values(at=now - timedelta(hours=25)))
    assert "a brake holds" not in attention(house)


def test_an_erased_person_is_in_no_alarm(house: House) -> None:
    house.receive(*(letter(sender=VICTIM, verdict=None) for _ in range(2)))
    assert VICTIM in attention(house)
    with house.app.database.write() as session:
        db_alarms.forget(session, VICTIM)
    assert VICTIM not in attention(house)


def test_a_thousand_mails_in_a_victims_name_bring_it_one_mail_without_a_word_of_theirs(house: House) -> None:
    bait = "Claim your prize at http://evil.example/\n"
    house.receive(
        *(letter(bait, sender=VICTIM, subject=f"Prize {n}", verdict="dmarc=none") for n in range(MANY)),
        *(
            letter(bait, sender=STRANGER, verdict=None, head=f"Reply-To: {VICTIM}\r\nCc: {VICTIM}\r\n")
            for _ in range(3)
        ),
    )
    (entry,) = [entry for entry in house.queue("queued") if entry.recipient == VICTIM]
    said = house.bytes_of(entry).decode() + words_of(house.mail_of(entry)) + entry.subject
    assert [word for word in ("prize", "Prize", "evil.example") if word in said] == []


def test_a_flood_in_many_names_is_braked_by_domain_and_in_all(house: House, logged: io.StringIO) -> None:
    few = house.with_limits("answers_per_hour = 30")
    log.configure(stream=logged)
    few.receive(*(letter(sender=f"v{n}@integra.example", verdict=None) for n in range(25)))
    assert states(few) == {"queued": brakes.USUAL.per_domain, "held": 5}
    few.receive(*(letter(sender=f"v@d{n}.example", verdict=None) for n in range(15)))
    assert states(few)["queued"] == 30
    assert len(alarms(logged)) == 2
    few.app.database.dispose()


def test_the_same_mail_again_and_again_is_one_ticket_and_one_answer(either_house: House) -> None:
    raw = letter(LARGE)
    receipts = either_house.receive(raw, *(b"Delivered-To: x%d\r\n" % n + raw for n in range(MANY)), raw)
    assert Counter(one["decision"] for one in receipts) == {"ticket": 1, "duplicate": MANY + 1}
    assert len(either_house.installation.tickets()) == 1
    assert sorted(entry.notice for entry in either_house.queue()) == ["priority_alert", "ticket_opened"]


def test_the_same_text_under_new_ids_keeps_its_tickets_and_loses_its_answers(
    either_house: House, logged: io.StringIO
) -> None:
    """A partner's monitor that runs wild: three are answered, the brakes let one more through."""
    receipts = either_house.receive(*(letter(LARGE) for _ in range(MANY)))
    assert {(one["decision"], one["reason"], one["severity"]) for one in receipts} == {
        ("ticket", "large_account", "S1")
    }
    assert len(either_house.installation.tickets()) == MANY
    answers = Counter((e.notice, e.state.value) for e in either_house.queue())
    assert answers["ticket_opened", "queued"] == brakes.REPEATS + 1
    assert answers["priority_alert", "queued"] == brakes.REPEATS + 1
    assert answers["ticket_opened", "held"] == MANY - brakes.REPEATS - 1, "what is braked stays visible"
    assert len(alarms(logged)) == 1


def test_a_boundary_drawn_anew_makes_no_new_text(house: House) -> None:
    house.receive(*(parted(n) for n in range(6)))
    answers = Counter((e.notice, e.state.value) for e in house.queue())
    assert (answers["ticket_opened", "queued"], answers["ticket_opened", "held"]) == (4, 2)


def parted(number: int) -> bytes:
    """As programs write: a boundary drawn anew each time."""
    boundary = f"=_part_{number:032x}"
    return letter("BODY").replace(b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit",
        f'Content-Type: multipart/mixed; boundary="{boundary}"'.encode()
    ).replace(
        b"BODY", f"--{boundary}\r\nContent-Type: text/plain\r\n\r\n{LARGE}\r\n--{boundary}--\r\n".encode()
    )  # fmt: skip


def test_after_an_hour_of_silence_the_same_text_is_answered_again(house: House) -> None:
    now = datetime.now(UTC)
    house.receive(*(letter(FRENCH) for _ in range(6)), at=now)
    house.one(letter(FRENCH), at=now + timedelta(minutes=61))
    assert [entry.state.value for entry in house.queue()] == [*["queued"] * 4, "held", "held", "queued"]


def test_distinct_tickets_of_a_proved_partner_are_all_answered(house: House) -> None:
    house.receive(*(letter(f"Panne numéro {n} du CRM\n{LARGE}") for n in range(MANY)))
    assert states(house) == {"queued": 2 * MANY}, "an answer and an alert each"


def test_repeated_orders_under_new_ids_are_one_contract_and_few_answers(house: House) -> None:
    receipts = house.receive(*(letter(order(), sender=RESELLER, to=desk.SELECT) for _ in range(12)), mailbox="select")
    assert Counter(one["reason"] for one in receipts) == {"order_complete": 1, "order_repeated": 11}
    again = [entry for entry in house.queue("queued") if entry.recipient == RESELLER]
    assert len(again) == brakes.REPEATS + 1


def test_machines_and_lists_of_a_partner_are_tickets_without_any_answer(house: House) -> None:
    marks = ("Auto-Submitted: auto-generated\r\n", "List-Id: <all.integra.example>\r\n")
    receipts = house.receive(*(letter(f"{LARGE}{n}\n", head=marks[n % 2]) for n in range(10)))
    assert {one["decision"] for one in receipts} == {"ticket"}
    assert {entry.notice for entry in house.queue()} <= {"priority_alert"}


def test_one_more_mail_costs_the_same_behind_ten_thousand(house: House) -> None:
    """Counted in steps of SQLite's machine, so that a slow computer changes nothing."""
    kinds = {
        "nobody's": lambda: letter(FRENCH, verdict=None),
        "repeated": lambda: letter(LARGE),
        "same id": lambda: letter(LARGE, message_id="<same@integra.example>", date="Date: today\r\n"),
        "another's": lambda: letter(FRENCH + "!", sender="b@brightwave.example"),
    }
    for make in kinds.values():
        house.receive(*(make() for _ in range(6)))
    before = {kind: steps(house, make()) for kind, make in kinds.items()}
    multiply(house, 2_500)  # of each kind
    after = {kind: steps(house, make()) for kind, make in kinds.items()}
    assert {kind: (before[kind], after[kind]) for kind in kinds if after[kind] > before[kind] + 10} == {}


def steps(house: House, raw: bytes) -> int:
    """Hundreds of steps that the database takes to decide one mail."""
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 1
        return 0

    def watch(connection: Any, *_: Any) -> None:
        connection.set_progress_handler(count, 100)

    house.admit(raw)
    sqlalchemy.event.listen(house.app.database.engine, "checkout", watch)
    house.decide()
    sqlalchemy.event.remove(house.app.database.engine, "checkout", watch)
    return taken


def multiply(house: House, times: int) -> None:
    """The ledger and the outbox as after a flood of each kind: the newest of each, so many times again."""
    rows, mails = models.MessageRow.__table__, models.Outbox.__table__
    fresh = {
        rows: {"id": "1000 + i * 100 + id", "uid": "1000 + i * 100 + uid"},
        mails: {"id": "1000 + i * 100 + id", "cause": "'x' || i || cause", "message_id": "i || message_id"},
    }
    newest = {rows: "sender, content_hash", mails: "recipient, state"}
    for table in (rows, mails):
        names = [column.name for column in table.columns]
        picked = ", ".join(fresh[table].get(name, name) for name in names)
        with house.app.database.write() as session:
            session.execute(
                sqlalchemy.text(
                    f"INSERT INTO {table} ({', '.join(names)}) "
                    f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times}) "
                    f"SELECT {picked} FROM {table}, n "
                    f"WHERE {table}.id IN (SELECT max(id) FROM {table} GROUP BY {newest[table]})"
                )
            )


# --- guessing, enumerating


def test_who_tries_many_ids_is_answered_the_same_and_told_to_the_operator_once(
    house: House, logged: io.StringIO
) -> None:
    receipts = house.receive(*(letter(f"Service : Zoho CRM\nZOID : 6000000000{n}\n") for n in range(9)))
    assert {one["reason"] for one in receipts} == {"unknown_customer"}
    assert receipts[3]["unknown"] == ["60000000003"]
    assert states(house) == {"queued": 9}
    texts = {words_of(house.mail_of(entry)).replace(f"6000000000{n}", "ID") for n, entry in enumerate(house.queue())}
    assert len({unnumbered(text) for text in texts}) == 1
    (told,) = alarms(logged)
    assert f"{PARTNER} named 6 customers that nobody has" in told
    assert "is he guessing?" in attention(house)


def test_five_unknown_ids_and_the_same_one_ten_times_are_no_alarm(house: House, logged: io.StringIO) -> None:
    house.receive(*(letter(f"Panne {n}. ZOID : 6000000000{n % 5}\n") for n in range(10)))
    assert alarms(logged) == []


def test_nobody_can_make_a_partner_look_like_a_guesser(house: House, logged: io.StringIO) -> None:
    house.receive(*(letter(f"Panne {n}. ZOID : 6000000000{n}\n", verdict="dmarc=fail") for n in range(10)))
    assert "guessing" not in "".join(alarms(logged))


def unnumbered(text: str) -> str:
    return "".join("#" if character.isdigit() else character for character in text)


@pytest.mark.parametrize(
    "known", ["it@acme.example", "it-admin@evergreen.example", "60012345678", "admin@boreal.example"]
)
@pytest.mark.parametrize("verdict", ["dmarc=pass", "dmarc=none"])
def test_who_is_not_ours_learns_nothing_from_the_answer(house: House, known: str, verdict: str) -> None:
    """Known and unknown customers, here and in other regions: byte-equal answers but for the numbers."""
    now = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    answers = []
    for name in (known, "nobody@nowhere.example" if "@" in known else "60099999999"):
        body = f"Service : Zoho CRM\nSuper administrateur : {name}\n" if "@" in name else f"ZOID : {name}\n"
        receipt = house.one(letter(body, sender=STRANGER, subject="Panne", verdict=verdict), at=now)
        (notice,) = receipt["notices"]
        now += timedelta(days=2)
        answers.append((receipt["region"], receipt["locale"], notice["name"], bare(house)))
    assert answers[0] == answers[1]


OURS_ALONE = ("Message-ID", "Date", "Content-Type", "In-Reply-To", "References")


def bare(house: House) -> str:
    """The last mail of the queue without its ids, its boundary and its numbers."""
    mail = house.mail_of(house.queue()[-1])
    return unnumbered(f"{[pair for pair in mail.items() if pair[0] not in OURS_ALONE]}{words_of(mail)}")
