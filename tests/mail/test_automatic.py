import pytest

from triaged.domain.message import Address, House, Message, Nature, Report
from triaged.mail import automatic

HOUSE = House("support.example", frozenset({"partner-support@vendor.example"}))
OURS = "<eu-000123.7q3kx2m8.1.0123456789abcdef@support.example>"


def mail(subject: str = "CRM is down", sender: str = "contact@integra.example", **more: object) -> Message:
    """Keyword arguments in upper case are header fields (`Auto_Submitted="…"`), in lower case Message's own."""
    fields = tuple((name.lower().replace("_", "-"), str(value)) for name, value in more.items() if name[0].isupper())
    own = {name: value for name, value in more.items() if name[0].islower()}
    address = Address(sender) if sender else None
    return Message(sender=address, subject=subject, fields=(("from", sender), *fields), **own)  # type: ignore[arg-type] # test data


def nature(message: Message) -> Nature:
    return automatic.nature(message, HOUSE)


def test_a_person_is_a_person_and_may_be_answered() -> None:
    for subject in (
        "CRM is down",
        "Out of office feature is broken in Zoho Mail",
        "Absence de synchronisation",
        "Undeliverable invoices",
        "",
    ):
        message = mail(subject, Return_Path="<contact@integra.example>", Auto_Submitted="no")
        assert (nature(message), automatic.answerable(message)) == (Nature.PERSON, True)


@pytest.mark.parametrize(
    "message",
    [
        mail(sender="partner-support@vendor.example"),
        mail(X_Triaged="1"),
        mail(message_id=OURS),
        mail(sender="partner-support@vendor.example", report=Report("failed")),
        mail(message_id=OURS, Auto_Submitted="auto-replied"),
    ],
)
def test_our_own_mail_coming_back_is_own_before_anything_else(message: Message) -> None:
    assert nature(message) is Nature.OWN


def test_a_message_id_of_another_house_or_form_is_not_own() -> None:
    assert nature(mail(message_id=OURS.replace("support.example", "other.example"))) is Nature.PERSON
    assert nature(mail(message_id="<abc@support.example>")) is Nature.PERSON


REPORTS = {
    "read as a DSN": mail(report=Report("failed", "x@y.example")),
    "read as an MDN": mail("Read: CRM is down", report=Report("displayed")),
    "delivery-status": mail(Content_Type='multipart/report; report-type=delivery-status; boundary="a"'),
    "disposition": mail(Content_Type="multipart/report; report-type=disposition-notification"),
    "abuse feedback": mail(Content_Type="Multipart/Report; report-type=feedback-report"),
    "delivery-status as the whole": mail(Content_Type="message/delivery-status"),
    "failed recipients": mail(X_Failed_Recipients="x@y.example"),
    "exchange read receipt": mail("Read: CRM", Content_Class="urn:content-classes:mdn"),
    "daemon and null path": mail("hello", "MAILER-DAEMON@mx.integra.example", Return_Path="<>"),
    "daemon and subject": mail("Undelivered Mail Returned to Sender", "mailer-daemon@mx.integra.example"),
    "postmaster in french": mail("Non remis : CRM", "postmaster@integra.example"),
    "postmaster in german": mail("Unzustellbar: CRM", "postmaster@integra.example"),
    "postmaster in spanish": mail("No se puede entregar: CRM", "postmaster@integra.example"),
    "postmaster in italian": mail("Non recapitabile: CRM", "postmaster@integra.example"),
    "postmaster in portuguese": mail("Não é possível entregar: CRM", "postmaster@integra.example"),
    "postmaster in dutch": mail("Onbestelbaar: CRM", "postmaster@integra.example"),
    "postmaster in polish": mail("Niedostarczalne: CRM", "postmaster@integra.example"),
    "postmaster in japanese": mail("配信不能: CRM", "postmaster@integra.example"),
    "exchange's system address": mail(
        "Undeliverable: CRM", "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@i.example".lower()
    ),
    "delayed": mail("Warning: could not send message for past 4 hours", "mailer-daemon@mx.integra.example"),
    "dmarc aggregate": mail("Report Domain: vendor.example Submitter: x.example Report-ID: <1>", "reports@x.example"),
}


@pytest.mark.parametrize("name", REPORTS)
def test_reports_are_reports_and_never_answered(name: str) -> None:
    assert (nature(REPORTS[name]), automatic.answerable(REPORTS[name])) == (Nature.DELIVERY_REPORT, False)


@pytest.mark.parametrize(
    "shown", ["MAILER-DAEMON (Mail Delivery System)", '"" (Mail Delivery System)', "Mail Delivery Subsystem <>"]
)
def test_a_daemon_without_an_address_is_known_by_what_it_shows(shown: str) -> None:
    message = Message(subject="Delivery Status Notification (Failure)", fields=(("from", shown),))
    assert nature(message) is Nature.DELIVERY_REPORT


def test_a_person_at_postmaster_who_writes_no_bounce_makes_no_report() -> None:
    assert (
        nature(mail("Question", "postmaster@integra.example", Return_Path="<postmaster@integra.example>"))
        is Nature.PERSON
    )
    assert nature(mail("Undeliverable: we get these all day", Return_Path="<contact@integra.example>")) is Nature.PERSON


AUTO_REPLIES = {
    "rfc 3834": mail("Re: ticket", Auto_Submitted="auto-replied"),
    "with a comment": mail(Auto_Submitted="Auto-Replied (vacation)"),
    "with a parameter": mail(Auto_Submitted='auto-replied; owner-email="x@y.example"'),
    "x-autoreply": mail(X_Autoreply="yes"),
    "x-autorespond": mail(X_Autorespond="CRM is down"),
    "precedence": mail(Precedence="auto_reply"),
    "autogenerated": mail(X_Autogenerated="Reply"),
    "apple": mail("Auto reply: CRM", X_Apple_Action="VACATION"),
    "exchange in english": mail(
        "Automatic reply: CRM", Auto_Submitted="auto-generated", X_Auto_Response_Suppress="All"
    ),
    "exchange in french": mail("Réponse automatique : CRM", X_Auto_Response_Suppress="All"),
    "exchange in german": mail("Automatische Antwort: CRM", Auto_Submitted="auto-generated"),
    "german notice": mail("Abwesenheitsnotiz", Precedence="bulk"),
    "spanish": mail("Respuesta automática: CRM", X_Auto_Response_Suppress="All"),
    "italian": mail("Risposta automatica: CRM", X_Auto_Response_Suppress="All"),
    "portuguese": mail("Resposta automática: CRM", X_Auto_Response_Suppress="All"),
    "dutch": mail("Automatisch antwoord: CRM", X_Auto_Response_Suppress="All"),
    "polish": mail("Odpowiedź automatyczna: CRM", X_Auto_Response_Suppress="All"),
    "japanese": mail("自動応答: CRM", X_Auto_Response_Suppress="All"),
    "out of office until": mail("Out of office until 20 October", Return_Path="<>"),
    "absent jusqu'au": mail("Je suis absent jusqu’au 20 octobre", Precedence="junk"),
    "an answer to ours with no other mark": mail("Automatic reply: [EU-000123] CRM", in_reply_to=(OURS,)),
    "null path and a reply's subject": mail("Re: [EU-000123] CRM", Return_Path="<>"),
    "null path and a reference": mail("I got your mail", Return_Path="< >", in_reply_to=("<a@b>",)),
}


@pytest.mark.parametrize("name", AUTO_REPLIES)
def test_automatic_replies_are_known_and_never_answered(name: str) -> None:
    assert nature(AUTO_REPLIES[name]) is Nature.AUTO_REPLY


@pytest.mark.parametrize("name", sorted(AUTO_REPLIES.keys() - {"an answer to ours with no other mark"}))
def test_a_hard_mark_forbids_an_answer(name: str) -> None:
    assert not automatic.answerable(AUTO_REPLIES[name])


def test_a_vacation_subject_alone_is_a_persons_mail() -> None:
    for subject in (
        "Automatic reply: how do I switch it on?",
        "Abwesenheitsnotiz: Frage",
        "Réponse automatique : question",
    ):
        assert nature(mail(subject)) is Nature.PERSON


def test_a_machines_ticket_about_a_vacation_feature_is_work() -> None:
    assert nature(mail("Out of office feature is broken", Auto_Submitted="auto-generated")) is Nature.MACHINE


@pytest.mark.parametrize("mark", [{"X_Auto_Response_Suppress": "DR, OOF, AutoReply"}, {"Return_Path": "<>"}])
def test_a_hard_mark_alone_is_a_person_who_gets_no_answer(mark: dict[str, str]) -> None:
    message = mail("CRM is down", **mark)
    assert (nature(message), automatic.answerable(message)) == (Nature.PERSON, False)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (mail(Auto_Submitted="auto-generated"), Nature.MACHINE),
        (mail(Auto_Submitted="auto-generated", Precedence="bulk"), Nature.MACHINE),
        (mail(Auto_Submitted="auto-notified"), Nature.MACHINE),
        (mail(Auto_Submitted="auto-generated", List_Id="<news.integra.example>"), Nature.LIST),
        (mail(List_Id="Desk <desk.integra.example>"), Nature.LIST),
        (mail(List_Post="<mailto:desk@integra.example>"), Nature.LIST),
        (mail(List_Unsubscribe="<https://integra.example/u>"), Nature.LIST),
        (mail(Precedence="list"), Nature.LIST),
        (mail(Precedence="Bulk"), Nature.LIST),
        (mail(Mailing_List="contact x-help@integra.example"), Nature.LIST),
    ],
)
def test_machines_and_lists_are_told_apart_and_not_answered(message: Message, expected: Nature) -> None:
    assert (nature(message), automatic.answerable(message)) == (expected, False)


@pytest.mark.parametrize(
    "sender",
    [
        "noreply@integra.example",
        "no-reply@integra.example",
        "crm.no_reply+17@integra.example",
        "do-not-reply@integra.example",
        "ne-pas-repondre@integra.example",
        "nicht-antworten@integra.example",
        "naoresponda@integra.example",
        "mailer-daemon@integra.example",
        "bounces+12-abc@integra.example",
        "desk-bounces@integra.example",
        "owner-desk@integra.example",
        "",
    ],
)
def test_unattended_addresses_get_no_answer(sender: str) -> None:
    assert not automatic.answerable(mail(sender=sender))


def test_addresses_that_only_look_alike_are_answered() -> None:
    for sender in (
        "norbert@integra.example",
        "reply@integra.example",
        "bouncer.joe@integra.example",
        "daemonde@integra.example",
    ):
        assert automatic.answerable(mail(sender=sender))


def test_a_mail_whose_bytes_failed_preflight_gets_no_answer() -> None:
    assert not automatic.answerable(mail(dirty=True))


def test_only_the_topmost_return_path_is_our_servers_word() -> None:
    fields = (("return-path", "<contact@integra.example>"), ("return-path", "<>"))
    assert automatic.answerable(Message(sender=Address("contact@integra.example"), fields=fields))


def test_this_programs_mail_of_another_house_is_not_answered_whatever_was_stripped_from_it() -> None:
    message = mail(message_id="<x.abcdefgh.1.0123456789abcdef@other.example>")
    assert (nature(message), automatic.answerable(message)) == (Nature.PERSON, False)
