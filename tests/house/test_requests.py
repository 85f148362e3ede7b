"""What parties of a contract ask for by mail, and what becomes of it (rows C5–C8; INTERFACE §4 "Contract verbs")."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from tests.house import desk
from tests.house.test_contracts import CLAIRE, DISTRIBUTOR, RESELLER, Counter, order, text
from tests.servers import imap_pymap, smtp_sink

from triaged.adapters.db import contracts, engine
from triaged.adapters.db.contract_models import Person
from triaged.domain.invitation import State
from triaged.workflows import contracting

PAUL = "paul.durand@acme.example"


@pytest.fixture
def counter(tmp_path: Path, pymap: imap_pymap.Pymap, relay: smtp_sink.SmtpSink) -> Iterator[Counter]:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", pymap, relay.port, contracts=True) as house:
        counter = Counter(house, pymap, relay)
        counter.say(order())
        yield counter


def refused(counter: Counter) -> object:
    return counter.decided()["refused"]


def test_the_customer_adds_a_colleague_who_reads_unless_more_is_said(counter: Counter) -> None:
    sent = counter.say(f"Bonjour, merci d'ajouter Paul Durand ({PAUL}) à l'invitation.\n", sender=CLAIRE)
    assert sorted(sent) == [(CLAIRE, "request_done"), (PAUL, "invitation")]
    assert [(one.recipient, one.access) for one in counter.invitations()] == [(CLAIRE, "admin"), (PAUL, "reader")]
    [mail] = counter.mails(PAUL)
    assert CLAIRE in text(mail)


def test_an_administrator_is_added_when_the_mail_says_so(counter: Counter) -> None:
    counter.say(f"Please add {PAUL} as an administrator of our contract SC-000001.\n", sender=CLAIRE)
    assert counter.invitations()[-1].access == "admin"


def test_a_reseller_adds_nobody_and_nobody_adds_a_reseller(counter: Counter) -> None:
    assert counter.say(f"Merci d'ajouter {PAUL} à l'invitation PO-4711.\n") == [(RESELLER, "request_refused")]
    assert refused(counter) == "not_allowed"
    counter.say(f"Merci d'ajouter {DISTRIBUTOR} à l'invitation.\n", sender=CLAIRE)
    assert refused(counter) == "not_a_person"
    assert [one.recipient for one in counter.invitations()] == [CLAIRE]


def test_a_person_without_an_address_is_asked_for(counter: Counter) -> None:
    counter.say("Pouvez-vous ajouter mon collègue Paul Durand à l'invitation ?\n", sender=CLAIRE)
    assert refused(counter) == "no_person"


def test_the_customer_who_asks_again_gets_the_invitation_itself_as_the_answer(counter: Counter) -> None:
    assert counter.say("Le lien a expiré, merci de renvoyer l'invitation.\n", sender=CLAIRE) == [(CLAIRE, "invitation")]


def test_an_invitation_is_sent_again_at_most_three_times_a_day(counter: Counter) -> None:
    for _ in range(3):
        counter.say("Le client a perdu l'invitation PO-4711, merci de la renvoyer.\n")
    counter.say("Encore une fois : merci de renvoyer l'invitation PO-4711.\n")
    assert refused(counter) == "too_often"
    assert [one.state for one in counter.invitations()] == [*[State.REPLACED] * 3, State.SENT]


def test_day_thirty_cancels_and_day_thirty_one_does_not(counter: Counter) -> None:
    bought = counter.contracts()[0].purchased_at
    body = "Bonjour, veuillez annuler la commande PO-4711.\n"
    with time_machine.travel(bought + timedelta(days=31), tick=True):
        assert counter.say(body) == [(RESELLER, "request_refused")]
        assert refused(counter) == "too_late"
    with time_machine.travel(bought + timedelta(days=30), tick=True):
        assert len(counter.say(body)) == 3
    assert counter.contracts()[0].state == "cancelled"


def test_a_cancellation_is_taken_back_within_a_day_and_not_later(counter: Counter) -> None:
    counter.say("Veuillez annuler la commande PO-4711.\n")
    restore = "C'était une erreur : merci de rétablir le contrat SC-000001.\n"
    with time_machine.travel(datetime.now(UTC) + timedelta(hours=25), tick=True):
        assert counter.say(restore) == [(RESELLER, "request_refused")]
        assert refused(counter) == "undo_over"
    counter.say(restore)
    assert counter.contracts()[0].state == "active"


def test_the_distributor_who_did_not_place_the_order_cannot_cancel_it(counter: Counter) -> None:
    counter.say("Bitte stornieren Sie unsere Bestellung PO-4711.\n", sender=DISTRIBUTOR)
    assert refused(counter) == "not_allowed"
    assert counter.contracts()[0].state == "active"


def test_everybody_asks_for_the_status_of_his_own_contracts(counter: Counter) -> None:
    assert counter.say("Quel est le statut de mes contrats ?\n", sender=CLAIRE) == [(CLAIRE, "request_done")]
    told = text(counter.mails(CLAIRE)[-1])
    assert "SC-000001" in told
    assert "PO-4711" not in told
    counter.say("Wie ist der Status unserer Verträge?\n", sender=DISTRIBUTOR)
    assert "PO-4711" in text(counter.mails(DISTRIBUTOR)[-1])


def test_two_orders_and_no_number_is_a_question_back(counter: Counter) -> None:
    counter.say(order(po="PO-4712"))
    counter.say("Veuillez annuler la commande.\n")
    assert refused(counter) == "which_contract"
    assert [one.state for one in counter.contracts()] == ["active", "active"]


def test_of_two_positions_one_is_cancelled_and_the_invitation_moves_to_the_other(counter: Counter) -> None:
    two = order(po="PO-5").replace(
        "Nombre de licences : 40", "Nombre de licences : 40\nSKU : 994-000303\nNombre de licences : 20"
    )
    counter.say(two)
    first, second = counter.contracts()[1:]
    assert (first.licences, second.licences, second.years) == (40, 20, 3)
    counter.say(f"Veuillez annuler le contrat {first.number}.\n")
    invited = [(one.contract_id, one.state) for one in counter.invitations() if one.contract_id != 1]
    assert invited == [(first.id, State.REVOKED), (second.id, State.SENT)]
    assert [one.state for one in counter.contracts()[1:]] == ["cancelled", "active"]


def test_what_was_not_sent_yet_is_withdrawn_by_the_cancellation(counter: Counter) -> None:
    counter.relay.manners.refuse_recipient[CLAIRE] = "451 4.7.1 later"
    counter.say(order(po="PO-6"))
    counter.relay.manners.refuse_recipient.clear()
    counter.say("Veuillez annuler la commande PO-6.\n")
    waiting = {
        (e.notice, e.state) for e in counter.house.queue() if e.recipient == CLAIRE and e.contract == "SC-000002"
    }
    assert waiting == {("order_confirmed", "withdrawn"), ("invitation", "withdrawn"), ("contract_cancelled", "sent")}


def test_an_invitation_in_doubt_is_not_sent_again_but_replaced_by_a_new_one(counter: Counter) -> None:
    counter.relay.manners.drop_after_dot = 1
    contracting.resend(counter.house.bureau(), 1, datetime.now(UTC))
    counter.house.once()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=20), tick=True):
        counter.house.once()
    states = [(one.generation, one.state) for one in counter.invitations()]
    assert states == [(1, State.REPLACED), (2, State.REPLACED), (3, State.SENT)]
    states = [entry.state for entry in counter.house.queue() if entry.notice == "invitation"]
    assert states == ["sent", "withdrawn", "sent"]
    assert len(set(counter.links())) == 3


def test_a_typing_error_is_mended_both_are_told_and_the_old_link_is_dead(counter: Counter) -> None:
    with counter.house.app.database.write() as session:
        session.add(
            Person(customer_id=1, site="", address=CLAIRE, access="admin", since=datetime.now(UTC), named_by=None)
        )
    contracting.set_customer_email(counter.house.bureau(), "SC-000001", PAUL, datetime.now(UTC))
    counter.house.once()
    assert [(one.recipient, one.state) for one in counter.invitations()] == [
        (CLAIRE, State.REVOKED),
        (PAUL, State.SENT),
    ]
    assert "SC-000001" not in text(counter.mails(CLAIRE)[-1])
    assert people(counter.house.app.database) == []
    counter.say("Merci de renvoyer l'invitation.\n", sender=CLAIRE)
    assert refused(counter) in ("not_allowed", "unknown_contract")


def people(database: engine.Database) -> list[str]:
    with database.read() as session:
        return [person.address for person in session.query(Person)]


def test_an_unauthenticated_order_is_upgraded_by_its_better_copy(counter: Counter) -> None:
    mail = desk.mail(order(po="PO-7"), number=700, sender=RESELLER, signed=False)
    counter.server.deliver(counter.house.select, mail)
    counter.house.once()
    counter.server.deliver(counter.house.select, desk.SIGNED.format(domain="integra.example").encode() + mail)
    counter.house.once()
    assert [one.po_number for one in counter.contracts()] == ["PO-4711", "PO-7"]


def test_contracts_end_and_links_expire_by_the_calendar(counter: Counter) -> None:
    app = counter.house.app
    contracting.keep_calendar(app.database, app.settings.catalogue, datetime.now(UTC) + timedelta(days=31))
    assert [one.state for one in counter.invitations()] == [State.EXPIRED]
    contracting.keep_calendar(app.database, app.settings.catalogue, datetime.now(UTC) + timedelta(days=367))
    with app.database.read() as session:
        assert [one.state for one in contracts.listed(session)] == ["expired"]


def test_the_whole_form_of_an_order_under_the_words_please_cancel_is_a_cancellation(counter: Counter) -> None:
    counter.say(order().replace("Veuillez enregistrer la commande suivante.", "Veuillez annuler la commande suivante."))
    assert counter.decided()["reason"] == "cancel_contract"
    assert counter.contracts()[0].state == "cancelled"


def test_an_administrator_named_by_the_customer_adds_people_and_asks_for_his_own_link(counter: Counter) -> None:
    counter.say(f"Please add {PAUL} as administrator.\n", sender=CLAIRE)
    lea = "lea.petit@acme.example"
    assert sorted(counter.say(f"Merci d'ajouter {lea} à l'invitation.\n", sender=PAUL)) == [
        (lea, "invitation"),
        (PAUL, "request_done"),
    ]
    assert counter.say("Mon lien a expiré, merci de renvoyer l'invitation.\n", sender=PAUL) == [(PAUL, "invitation")]
    counter.say("Veuillez annuler le contrat SC-000001.\n", sender=PAUL)
    assert refused(counter) == "not_allowed"


def test_a_colleague_of_who_placed_the_order_cancels_and_reads_what_was_cancelled(counter: Counter) -> None:
    sent = counter.say("Veuillez annuler la commande PO-4711.\n", sender="liam@integra.example")
    assert sorted(address for address, _ in sent) == sorted([CLAIRE, RESELLER, DISTRIBUTOR, "liam@integra.example"])
    assert "SC-000001" in text(counter.mails("liam@integra.example")[0])


def test_a_partner_without_contracts_hears_that_there_is_none(counter: Counter) -> None:
    counter.say("What is the status of our contracts?\n", sender="desk@brightwave.example")
    assert refused(counter) == "no_contract"


TWO = "Nombre de licences : 40\nSKU : 994-000303\nNombre de licences : 20\nSKU : 994-000304\nNombre de licences : 10"


def test_a_mended_address_loses_every_position_and_whoever_it_let_in(counter: Counter) -> None:
    counter.say(order(po="PO-5").replace("Nombre de licences : 40", TWO).replace(CLAIRE, "typo@acme.example"))
    stranger = "bad@stranger.example"
    counter.say(f"Merci d'ajouter {stranger} comme administrateur de PO-5.\n", sender="typo@acme.example")
    assert stranger in [one.recipient for one in counter.invitations()]
    contracting.set_customer_email(counter.house.bureau(), "SC-000002", PAUL, datetime.now(UTC))
    counter.house.once()
    assert [one.customer_party.email for one in counter.contracts()[1:]] == [PAUL] * 3
    live = {one.recipient for one in counter.invitations() if one.state in (State.OWED, State.SENT)}
    assert live == {CLAIRE, PAUL}
    for number in ("SC-000002", "SC-000003"):
        counter.say(f"Merci de renvoyer l'invitation du contrat {number}.\n", sender="typo@acme.example")
        assert counter.decided()["decision"] == "ticket" or refused(counter)
    assert {one.recipient for one in counter.invitations() if one.state in (State.OWED, State.SENT)} == live


def test_a_resend_renews_the_one_link_of_the_account_whatever_position_is_named(counter: Counter) -> None:
    counter.say(order(po="PO-5").replace("Nombre de licences : 40", TWO).replace(CLAIRE, PAUL))
    counter.say("Merci de renvoyer l'invitation du contrat SC-000004.\n", sender=PAUL)
    assert [(o.contract_id, o.state) for o in counter.invitations() if o.recipient == PAUL] == [
        (2, State.REPLACED),
        (2, State.SENT),
    ]


def test_two_of_three_positions_cancelled_at_once_leave_one_invitation_that_is_sent(counter: Counter) -> None:
    counter.say(order(po="PO-5").replace("Nombre de licences : 40", TWO).replace(CLAIRE, PAUL))
    counter.say("Veuillez annuler les contrats SC-000002 et SC-000003.\n")
    assert [one.state for one in counter.contracts()[1:]] == ["cancelled", "cancelled", "active"]
    states = [(o.contract_id, o.state) for o in counter.invitations() if o.recipient == PAUL]
    assert states == [(2, State.REVOKED), (4, State.SENT)]
    counter.say("C'était une erreur, merci de rétablir les contrats SC-000002 et SC-000003.\n")
    assert [o.state for o in counter.invitations() if o.recipient == PAUL] == [State.REVOKED, State.SENT]


def test_a_partner_cannot_be_its_own_customer_by_a_private_address(counter: Counter) -> None:
    counter.say(order(po="PO-6").replace(CLAIRE, "liam@integra.example"), sender="liam@integra.example")
    assert counter.decided()["problems"] == [
        {"field": "customer_email", "code": "not_customer", "value": "liam@integra.example"}
    ]


def test_a_cancelled_number_ordered_again_is_told_apart_and_nothing_is_confirmed(counter: Counter) -> None:
    counter.say("Veuillez annuler la commande PO-4711.\n")
    assert counter.say(order()) == [(RESELLER, "order_problems")]
    assert counter.decided()["reason"] == "order_conflict"
    assert "a été annulé" in text(counter.mails(RESELLER)[-1])
    assert [one.state for one in counter.contracts()] == ["cancelled"]


def test_the_invitation_for_somebody_else_is_no_resend_of_ones_own(counter: Counter) -> None:
    counter.say(f"Est-il possible d'envoyer aussi l'invitation à mon adjoint, {PAUL} ?\n", sender=CLAIRE)
    assert counter.decided()["decision"] == "ticket"
    assert [(one.recipient, one.state) for one in counter.invitations()] == [(CLAIRE, State.SENT)]


def test_the_missing_part_under_the_same_number_completes_the_order(counter: Counter) -> None:
    counter.say(order(po="PO-8001").replace(f"E-mail : {DISTRIBUTOR}\n", ""))
    assert counter.decided()["reason"] == "order_incomplete"
    counter.say(f"Bon de commande : PO-8001\nE-mail du distributeur : {DISTRIBUTOR}\n")
    assert (counter.decided()["reason"], counter.decided()["problems"]) == ("order_complete", [])
