"""What an associate does by hand, and what the partner hears of it (rows P7, P8)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.house import desk
from tests.servers import imap_pymap, smtp_sink

from triaged import app as composition
from triaged.desks.bureau import Bureau
from triaged.domain.errors import PermanentError
from triaged.domain.ticket import State
from triaged.workflows import associate

PARTNER = "contact@integra.example"


@pytest.fixture
def house(
    tmp_path: Path, database_url: str, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink
) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, database_url, pymap, relay.port) as house:
        yield house


def bureau(house: desk.Installation) -> Bureau:
    return composition.bureau(house.app, "alma")


def now() -> datetime:
    return datetime.now(UTC)


def notices(house: desk.Installation) -> list[tuple[str, str]]:
    return [(entry.notice, entry.recipient) for entry in house.queue()]


def test_setting_the_customer_classifies_from_the_arrival_and_tells_the_partner(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail("Bloqué.\n"))
    house.once()
    before = house.ticket("EU-000001")
    associate.set_customer(bureau(house), "eu-000001", "it@acme.example", now())
    after = house.ticket("EU-000001")
    assert (after.severity, after.priority, after.primary_customer_email) == ("S1", True, "it@acme.example")
    assert (after.due_acknowledge - after.opened_at).total_seconds() == 3 * 3600
    assert after.opened_at == before.opened_at
    assert notices(house)[1:] == [("priority_granted", PARTNER), ("priority_alert", "support-eu@vendor.example")]
    assert house.history("EU-000001")[-1].actor == "alma"


def test_an_unvouched_sender_hears_nothing_until_he_is_accepted(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail("Bloqué.\n", signed=False))
    house.once()
    assert notices(house) == [("received_for_review", PARTNER)]
    associate.set_customer(bureau(house), "EU-000001", "it@acme.example", now())
    ticket = house.ticket("EU-000001")
    assert (ticket.state, ticket.severity, ticket.priority) == (State.REVIEW, "S1", True)
    assert notices(house)[1:] == [("priority_alert", "support-eu@vendor.example")]
    associate.accept(bureau(house), "EU-000001", now())
    assert house.ticket("EU-000001").state is State.OPEN
    assert notices(house)[2:] == [("priority_granted", PARTNER)]


def test_accepting_a_forged_looking_partner_runs_the_same_classification(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail("Super administrateur : it@acme.example\n", signed=False))
    house.once()
    assert house.ticket("EU-000001").priority is False
    associate.accept(bureau(house), "EU-000001", now())
    ticket = house.ticket("EU-000001")
    assert (ticket.state, ticket.severity, ticket.priority, ticket.reason) == (State.OPEN, "S1", True, "large_account")


def test_a_contradiction_is_settled_by_the_associates_word(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    pymap.deliver(house.eu, desk.mail("Super administrateur : it@acme.example\nZOID : 60045678901\n"))
    house.once()
    assert (house.ticket("EU-000001").state, house.ticket("EU-000001").account) == (State.REVIEW, None)
    associate.set_customer(bureau(house), "EU-000001", "it@acme.example", now())
    ticket = house.ticket("EU-000001")
    assert (ticket.state, ticket.severity) == (State.OPEN, "S1")


def test_an_address_that_no_account_has_changes_nothing(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    pymap.deliver(house.eu, desk.mail("Bloqué.\n"))
    house.once()
    with pytest.raises(PermanentError, match="nothing was changed"):
        associate.set_customer(bureau(house), "EU-000001", "nobody@nowhere.example", now())
    assert house.ticket("EU-000001").severity == "S3"
    assert len(house.history("EU-000001")) == 1


def test_a_ticket_that_is_not_in_review_cannot_be_accepted(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    pymap.deliver(house.eu, desk.mail("Bloqué.\n"))
    house.once()
    with pytest.raises(PermanentError, match="not in review"):
        associate.accept(bureau(house), "EU-000001", now())


def test_notes_and_moves_are_kept_in_the_history(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    pymap.deliver(house.eu, desk.mail("Bloqué.\n"))
    house.once()
    associate.note(bureau(house), "EU-000001", "called them", now())
    associate.determine(bureau(house), "EU-000001", "a full disk", now())
    associate.move(bureau(house), "EU-000001", State.RESOLVED, "fixed by the product team", now())
    assert [event.kind for event in house.history("EU-000001")] == ["opened", "note", "determined", "resolved"]


def test_nothing_is_determined_of_a_ticket_in_review(house: desk.Installation, pymap: imap_pymap.Pymap) -> None:
    pymap.deliver(house.eu, desk.mail("Bloqué.\n", signed=False))
    house.once()
    with pytest.raises(PermanentError, match="is review"):
        associate.determine(bureau(house), "EU-000001", "a full disk", now())


def test_a_stranger_hears_no_facts_however_often_the_customer_is_set(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    pymap.deliver(house.eu, desk.mail("Bloqué.\n", sender="a@stranger.example"))
    house.once()
    assert notices(house) == [("received_for_review", "a@stranger.example")]
    associate.set_customer(bureau(house), "EU-000001", "it@acme.example", now())
    associate.set_customer(bureau(house), "EU-000001", "owner@cascade.example", now())
    associate.set_customer(bureau(house), "EU-000001", "it@acme.example", now())
    told = {recipient for _notice, recipient in notices(house)[1:]}
    assert told == {"support-eu@vendor.example"}


def test_a_better_authenticated_copy_does_not_undo_what_an_associate_set(
    house: desk.Installation, pymap: imap_pymap.Pymap
) -> None:
    mail = desk.mail("Bloqué.\n", signed=False)
    pymap.deliver(house.eu, mail)
    house.once()
    associate.set_customer(bureau(house), "EU-000001", "it@acme.example", now())
    pymap.deliver(house.eu, desk.SIGNED.format(domain="integra.example").encode() + mail)
    house.once()
    ticket = house.ticket("EU-000001")
    assert (ticket.primary_customer_email, ticket.severity) == ("it@acme.example", "S1")
    assert house.messages()[1].row["decision"] == "duplicate"
