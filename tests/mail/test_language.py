"""A mail's language by its commonest words; unsure is an answer too."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triaged.mail import language

MAILS = [
    ("fr", "Bonjour,\nDepuis ce matin notre client ne peut plus se connecter.\nMerci de votre aide."),
    ("fr", "Bonjour, le client ne reçoit pas les mails."),
    ("fr", "Bonjour,\n\nZOID : 60012345678\nService : Zoho CRM\n\nMerci\nCordialement\nJean"),
    ("fr", "L’import des contacts est bloqué chez un de nos clients et il n’a pas d’autre solution."),
    ("en", "Hello,\nour customer cannot log in since this morning. Please help.\nThanks"),
    ("en", "Hi team, the import is stuck and we need it for a go-live."),
    ("en", "Super admin: it@acme.example\nThe customer is not able to send any mail from this account"),
    ("de", "Guten Tag,\nunser Kunde kann sich seit heute nicht mehr anmelden.\nMit freundlichen Grüßen"),
    ("de", "Hallo, der Import ist fehlgeschlagen und wir brauchen bitte Hilfe."),
    ("es", "Buenos días:\nNuestro cliente no puede acceder a la cuenta desde ayer.\nGracias y saludos"),
    ("es", "Hola, la importación no funciona y el cliente está bloqueado."),
    ("it", "Buongiorno,\nil nostro cliente non riesce ad accedere al conto da ieri.\nGrazie, cordiali saluti"),
    ("it", "Salve, non è possibile inviare le mail dal portale della società."),
    ("pt", "Olá,\no nosso cliente não consegue aceder à conta desde ontem.\nObrigado, cumprimentos"),
    ("pt", "Bom dia, a importação não funciona e o cliente está parado."),
    ("nl", "Goedendag,\nonze klant kan sinds vandaag niet meer inloggen op het account.\nMet vriendelijke groet"),
    ("nl", "Hallo, het importeren lukt niet en wij hebben hulp nodig."),
    ("ja", "お世話になっております。お客様がログインできません。よろしくお願いいたします。"),
    ("ja", "Zoho CRM でエラーが出ます。ZOID は 60012345678 です。"),
]


@pytest.mark.parametrize(("expected", "text"), MAILS)
def test_a_short_mail_is_recognised(expected: str, text: str) -> None:
    assert expected == language.guess(text)
    assert expected == language.guess(text.upper())


@pytest.mark.parametrize(
    "text", ["", "60012345678", "it@acme.example", "ZOID 60012345678", "Zoho CRM", "ok", "Да, спасибо"]
)
def test_words_that_do_not_tell_leave_the_question_open(text: str) -> None:
    assert language.guess(text) is None


def test_the_mail_s_own_statement_counts_only_where_its_words_do_not_tell() -> None:
    assert language.guess("ZOID 60012345678", "de-AT, en") == "de"
    assert language.guess("ZOID 60012345678", "tlh") is None
    assert language.guess("ZOID 60012345678", "ja") == "ja"
    assert language.guess(MAILS[0][1], "en-US") == "fr"


def test_a_label_in_another_script_does_not_decide() -> None:
    assert language.guess(MAILS[0][1] * 5 + "\nスーパー管理者 : it@acme.example") == "fr"


def test_accents_written_apart_are_read() -> None:
    assert (
        language.guess("Il sistema non e\u0300 disponibile e il cliente non puo\u0300 lavorare da ieri con il conto")
        == "it"
    )


@given(st.text(max_size=300), st.text(max_size=20))
def test_any_text_gives_a_language_or_none(text: str, stated: str) -> None:
    assert language.guess(text, stated) in {None, "fr", "en", "de", "es", "it", "pt", "nl", "ja"}


def test_a_megabyte_costs_no_more_than_its_beginning() -> None:
    began = time.perf_counter()
    language.guess("le " * 350_000)

    assert time.perf_counter() - began < 0.5
