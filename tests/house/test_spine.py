"""A partner's mail becomes a ticket and a receipt, on real servers and both databases (issue 2's bars)."""

import email
import email.policy
from pathlib import Path

from tests.house import desk
from tests.servers import imap_dovecot, imap_pymap, smtp_sink

COMPLETE = "Bonjour,\n\nService : Zoho CRM\nAdresse e-mail du super administrateur : it@acme.example\n"
PARTNER = "contact@integra.example"
ASSOCIATES_OF_EU = "support-eu@vendor.example"


def test_a_complete_mail_of_a_large_account_is_critical_and_everybody_hears_of_it(
    house: desk.Installation, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink
) -> None:
    imap_server.deliver(house.eu, desk.mail(COMPLETE, subject="CRM en panne"))
    assert house.once() == ()

    (ticket,) = house.tickets()
    assert (ticket.number, ticket.state, ticket.severity, ticket.priority) == ("EU-000001", "open", "S1", True)
    assert ticket.account is not None
    assert (ticket.account.zoid, ticket.licences) == ("60012345678", 640)
    assert ticket.primary_customer_email == "it@acme.example"
    (record,) = house.messages()
    assert record.receipt is not None
    assert (record.row["decision"], record.row["reason"]) == ("ticket", "large_account")
    assert record.receipt["evidence"][1] == {"kind": "super_admin", "value": "it@acme.example", "where": "body:4"}

    (answer,) = desk.to(relay, PARTNER)
    parsed = email.message_from_bytes(answer, policy=email.policy.default)
    assert parsed["Subject"] == "Re: [EU-000001] CRM en panne"
    assert parsed["In-Reply-To"] == "<1@integra.example>"
    assert parsed["Reply-To"] == desk.EU
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert len(desk.to(relay, ASSOCIATES_OF_EU)) == 1


def test_handled_mail_is_archived_after_it_was_stored(
    house: desk.Installation, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot
) -> None:
    imap_server.deliver(house.eu, desk.mail(COMPLETE))
    house.once()
    assert imap_server.mails(house.eu) == []
    assert len(imap_server.mails(house.eu, "Processed")) == 1


def test_a_second_run_repeats_nothing(
    house: desk.Installation, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink
) -> None:
    imap_server.deliver(house.eu, *(desk.mail(COMPLETE, number=n) for n in range(1, 6)))
    house.once()
    before = ([m.row for m in house.messages()], [t.number for t in house.tickets()], len(relay.deliveries))
    house.once()
    after = ([m.row for m in house.messages()], [t.number for t in house.tickets()], len(relay.deliveries))
    assert after == before
    assert len(before[1]) == 5


def test_every_mail_has_one_row_and_one_decision(
    house: desk.Installation, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot
) -> None:
    kinds = [
        desk.mail(COMPLETE, number=1),
        desk.mail("Pouvez-vous regarder ?\n", number=2),
        desk.mail(COMPLETE, number=3, signed=False),
        desk.mail(COMPLETE, number=4, sender="a@stranger.example"),
        desk.mail("Je suis absent.\n", number=5, extra="Auto-Submitted: auto-replied\r\n"),
        desk.mail("x", number=6, subject="hi\rX-Forged: yes"),
    ]
    imap_server.deliver(house.eu, *kinds[:5])
    imap_server.deliver(house.com, *kinds[5:6])
    house.once()
    records = house.messages()
    assert len(records) == 6
    assert all(record.receipt and record.row["state"] in ("decided", "quarantined") for record in records)
    reasons = sorted(str(record.row["reason"]) for record in records)
    assert reasons == [
        "auto_reply",
        "large_account",
        "no_customer_reference",
        "unauthenticated_sender",
        "unknown_sender",
        "unreadable",
    ]


def test_the_same_mail_in_both_mailboxes_is_one_ticket(
    house: desk.Installation, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink
) -> None:
    mail = desk.mail(COMPLETE)
    imap_server.deliver(house.com, mail)
    imap_server.deliver(house.eu, b"Delivered-To: second@eu.vendor.example\r\n" + mail)
    house.once()
    assert sorted(str(r.row["decision"]) for r in house.messages()) == ["duplicate", "ticket"]
    assert len(house.tickets()) == 1
    assert len(desk.to(relay, PARTNER)) == 1


def test_a_reply_that_fills_in_the_block_raises_the_ticket_from_its_first_arrival(
    house: desk.Installation, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink
) -> None:
    imap_server.deliver(house.eu, desk.mail("L'import reste bloqué.\n", subject="Import"))
    house.once()
    (ticket,) = house.tickets()
    assert (ticket.severity, ticket.reason, ticket.missing) == ("S3", "no_customer_reference", ("super_admin",))

    (question,) = desk.to(relay, PARTNER)
    parsed = email.message_from_bytes(question, policy=email.policy.default)
    part = parsed.get_body(("plain",))
    assert part is not None
    quoted = [f"> {line}".rstrip() for line in part.get_content().splitlines()]
    filled = [
        f"{line} it@acme.example" if "super administrateur" in line.lower() and line.endswith(":") else line
        for line in quoted
    ]
    body = "Voilà.\n\nLe lun. 23 nov. 2026 à 09:12, Assistance partenaires a écrit :\n" + "\n".join(filled) + "\n"
    thread = f"In-Reply-To: {parsed['Message-ID']}\r\n"
    imap_server.deliver(house.eu, desk.mail(body, number=2, subject=str(parsed["Subject"]), extra=thread))
    house.once()

    raised = house.ticket(ticket.number)
    assert (raised.severity, raised.priority, raised.primary_customer_email) == ("S1", True, "it@acme.example")
    assert raised.opened_at == ticket.opened_at
    assert raised.due_acknowledge < ticket.due_acknowledge
    assert [event.kind for event in house.history(ticket.number)] == ["opened", "reply", "classified"]
    assert house.messages()[1].row["decision"] == "update"
    assert sorted(entry.notice for entry in house.queue()) == ["priority_alert", "priority_granted", "ticket_opened"]


def test_a_stranger_with_our_message_id_opens_a_linked_ticket_in_review(
    house: desk.Installation, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink
) -> None:
    imap_server.deliver(house.eu, desk.mail(COMPLETE))
    house.once()
    thread = f"In-Reply-To: {house.queue()[0].message_id}\r\n"
    imap_server.deliver(house.eu, desk.mail("Moi aussi.\n", number=2, sender="a@stranger.example", extra=thread))
    house.once()
    record = house.messages()[1]
    assert record.receipt is not None
    assert (record.row["reason"], record.receipt["linked"]) == ("unknown_sender", "EU-000001")
    assert [ticket.state for ticket in house.tickets()] == ["open", "review"]


def test_an_oversized_mail_is_taken_header_only_and_its_sender_told(
    tmp_path: Path,
    imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot,
    relay: smtp_sink.SmtpSink,
) -> None:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", imap_server, relay.port, limit="10KB") as house:
        imap_server.deliver(house.eu, desk.mail("x" * 70_000))
        house.once()
        (record,) = house.messages()
        assert (record.row["state"], record.row["reason"], record.truncated) == ("quarantined", "too_large", True)
        assert [entry.notice for entry in house.queue()] == ["too_large"]


def test_a_dead_relay_keeps_the_mails_and_says_so(
    tmp_path: Path, imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot
) -> None:
    with desk.installed(tmp_path, f"sqlite:///{tmp_path}/t.db", imap_server, 1) as house:
        imap_server.deliver(house.eu, desk.mail(COMPLETE))
        (trouble,) = house.once()
        assert "relay 127.0.0.1:1 cannot be reached" in trouble
        assert {entry.state for entry in house.queue()} == {"queued"}
