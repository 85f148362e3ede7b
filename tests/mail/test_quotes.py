"""Own mails in each client's quoting. In a fixture `+` begins a line that is new, `|` one that only quotes."""

import textwrap
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triaged.mail import quotes

CASES = {
    "gmail in french, wrapped over two lines": """
        +Bonjour, le super administrateur est it@acme.example
        +
        |Le mer. 14 oct. 2026 à 10:12, Assistance partenaires <
        |partner-support@vendor.example> a écrit :
        +
        |> Bonjour,
        |> il nous manque une référence.
        """,
    "gmail in english over three lines": """
        +ZOID: 60012345678
        |On Wed, Oct 14, 2026 at 10:12 AM
        |Partner Support
        |<partner-support@vendor.example> wrote:
        |> What is the ZOID?
        """,
    "gmail in german, the verb inside": """
        +Siehe unten.
        |Am Mi., 14. Okt. 2026 um 10:12 Uhr schrieb Partner-Support <
        |partner-support@vendor.example>:
        |> Welche ZOID?
        """,
    "gmail in spanish": """
        +Aquí está.
        |El mié, 14 oct 2026 a las 10:12, Soporte (<soporte@vendor.example>) escribió:
        |> ¿Cuál es?
        """,
    "gmail in italian": """
        +Ecco.
        |Il giorno mer 14 ott 2026 alle ore 10:12 Supporto <supporto@vendor.example> ha scritto:
        |> Quale?
        """,
    "gmail in portuguese": """
        +Segue abaixo.
        |Em qua., 14 de out. de 2026 às 10:12, Suporte <suporte@vendor.example> escreveu:
        |> Qual?
        """,
    "gmail in dutch": """
        +Zie hieronder.
        |Op wo 14 okt 2026 om 10:12 schreef De Vries <devries@vendor.example>:
        |> Welke?
        """,
    "gmail in polish, date first, wrapped": """
        +Oto dane.
        |śr., 14 paź 2026 o 10:12 Wsparcie
        |<wsparcie@vendor.example> napisał(a):
        |> Jaki ZOID?
        """,
    "gmail in japanese, no verb at all": """
        +以下の通りです。
        |2026年10月14日(水) 10:12 サポート <support@vendor.example>:
        |> ZOID を教えてください。
        """,
    "apple mail in japanese": """
        +回答します。
        |2026/10/14 10:12、サポート <support@vendor.example>のメール:
        |> ご確認ください。
        """,
    "thunderbird in french names nobody's address": """
        +Voici.
        |Le 14/10/2026 à 10:12, Assistance partenaires a écrit :
        |> Merci de préciser.
        """,
    "thunderbird in german": """
        +Hier.
        |Am 14.10.26 um 10:12 schrieb Partner-Support:
        |> Bitte ergänzen.
        """,
    "thunderbird in italian, wrapped inside the verb": """
        +Ecco.
        |Il 14/10/2026 10:12, Supporto ha
        |scritto:
        |> Quale?
        """,
    "thunderbird in polish": """
        +Proszę.
        |W dniu 14.10.2026 o 10:12, Wsparcie pisze:
        |> Proszę uzupełnić.
        """,
    "outlook desktop in french, a rule above the header": """
        +Bonjour, voici l'information.
        +Cordialement
        +
        |________________________________
        |De : Assistance partenaires <partner-support@vendor.example>
        |Envoyé : mercredi 14 octobre 2026 10:12
        |À : Integra <contact@integra.example>
        |Objet : RE: [EU-000123] Panne
        |
        |Bonjour,
        |quel est le super administrateur ?
        """,
    "outlook desktop in german": """
        +Danke.
        |
        |Von: Partner-Support <partner-support@vendor.example>
        |Gesendet: Mittwoch, 14. Oktober 2026 10:12
        |An: Integra <contact@integra.example>
        |Cc: Chef <chef@integra.example>
        |Betreff: AW: Ausfall
        |
        |Guten Tag
        """,
    "outlook in dutch": """
        +Bedankt.
        |Van: Ondersteuning <support@vendor.example>
        |Verzonden: woensdag 14 oktober 2026 10:12
        |Aan: Integra <contact@integra.example>
        |Onderwerp: RE: Storing
        |Goedendag
        """,
    "outlook in polish": """
        +Dziękuję.
        |Od: Wsparcie <support@vendor.example>
        |Wysłano: środa, 14 października 2026 10:12
        |Do: Integra <contact@integra.example>
        |Temat: RE: Awaria
        |Dzień dobry
        """,
    "outlook in japanese": """
        +ありがとうございます。
        |差出人: サポート <support@vendor.example>
        |送信日時: 2026年10月14日 10:12
        |宛先: Integra <contact@integra.example>
        |件名: RE: 障害
        |こんにちは
        """,
    "outlook in portuguese": """
        +Obrigado.
        |De: Suporte <support@vendor.example>
        |Enviada em: quarta-feira, 14 de outubro de 2026 10:12
        |Para: Integra <contact@integra.example>
        |Assunto: RES: Falha
        |Bom dia
        """,
    "outlook web with blank lines between the labels": """
        +Voici.
        |De : Assistance <partner-support@vendor.example>
        |
        |Envoyé : mercredi 14 octobre 2026 10:12
        |
        |À : Integra
        |
        |Objet : Panne
        |
        |Bonjour
        """,
    "outlook mobile": """
        +ZOID 60012345678
        +
        +Get Outlook for Android
        |________________________________
        |From: Partner Support <partner-support@vendor.example>
        |Sent: Wednesday, October 14, 2026 10:12:00 AM
        |To: Integra <contact@integra.example>
        |Subject: Re: outage
        |
        |Hello
        """,
    "old outlook, the prefixed original, and an answer at the bottom": """
        |-----Original Message-----
        |From: Partner Support [mailto:partner-support@vendor.example]
        |Sent: Wednesday, October 14, 2026 10:12
        |To: Integra
        |Subject: outage
        |
        |> Which ZOID?
        +60012345678
        """,
    "separator glued to Von and all on one line": """
        +Danke!
        |-----Ursprüngliche Nachricht-----Von: Support <s@vendor.example> Gesendet: 14. Oktober 2026 An: Integra
        |Hallo
        """,
    "header labels on one line, HTML without breaks": """
        +Merci
        |De : Support Envoyé : mercredi 14 octobre 2026 10:12 À : Integra Objet : Panne Bonjour, quel est le ZOID ?
        |la suite
        """,
    "apple mail": """
        +Voilà.
        +Envoyé de mon iPhone
        |Le 14 oct. 2026 à 10:12, Assistance <partner-support@vendor.example> a écrit :
        |
        |\ufeffBonjour,
        |quel est le ZOID ?
        """,
    "apple mail, forwarded with an introduction": """
        +Voir la demande du client.
        |Début du message réexpédié :
        |
        |De: Client <client@acme.example>
        |Objet: Panne
        |Date: 14 octobre 2026 à 10:12
        |À: contact@integra.example
        |
        |Plus rien ne marche.
        """,
    "apple mail, forward under quote signs": """
        +See below.
        |> Begin forwarded message:
        |>
        |> From: Customer <customer@acme.example>
        |> Subject: outage
        |>
        |> Nothing works.
        """,
    "notes in german, both ends dashed": """
        +Anbei.
        |-----"Support" <support@vendor.example> schrieb: -----
        |An: contact@integra.example
        |Von: "Support" <support@vendor.example>
        |Datum: 14.10.2026 10:12
        |Betreff: Ausfall
        |
        |Guten Tag
        """,
    "notes, name/firm wrote on": """
        +Attached.
        |Partner Support/Vendor wrote on 14.10.2026 10:12:00:
        |> Which ZOID?
        """,
    "notes, forwarded by": """
        +Please handle.
        |----- Forwarded by Integra/Example on 10/14/2026 10:12 AM -----
        |
        |From:\tCustomer <customer@acme.example>
        |To:\tIntegra
        |Nothing works.
        """,
    "notes, labels alone on their lines": """
        +Anbei die ZOID 60012345678.
        +
        |Support <s@vendor.example>
        |14.10.2026 10:12
        |
        |An
        |contact@integra.example
        |Kopie
        |
        |Thema
        |Ausfall
        |
        |Guten Tag
        """,
    "yahoo in german, the verb torn apart": """
        +Hier.
        |Am Mittwoch, 14. Oktober 2026 um 10:12:00 MESZ hat Support <s@vendor.example> Folgendes geschrieben:
        |
        |Welche ZOID?
        """,
    "apple mail in dutch": """
        +Hier.
        |Op 14 okt. 2026 om 10:12 heeft Support <s@vendor.example> het volgende geschreven:
        |Welke ZOID?
        """,
    "apple mail in polish": """
        +Proszę.
        |Wiadomość napisana przez Wsparcie <s@vendor.example> w dniu 14.10.2026, o godz. 10:12:
        |Jaki ZOID?
        """,
    "zoho mail in english": """
        +ZOID: 60012345678
        |---- On Wed, 14 Oct 2026 10:12:00 +0200 Partner Support <partner-support@vendor.example> wrote ---
        |
        |Hello, which ZOID?
        """,
    "zoho mail in french, its odd word for On": """
        +ZOID : 60012345678
        |---- Activé mer., 14 oct. 2026 10:12:00 +0200 Assistance <partner-support@vendor.example> écrit ----
        |
        |Bonjour
        """,
    "zoho mail, forwarded": """
        +Please see.
        |============ Forwarded message ============
        |From: Customer <customer@acme.example>
        |To: <contact@integra.example>
        |Date: Wed, 14 Oct 2026 10:12:00 +0200
        |Subject: outage
        |============ Forwarded message ============
        |Nothing works.
        """,
    "gmail forward in german with an introduction": """
        +Bitte bearbeiten.
        |---------- Forwarded message ---------
        |Von: Kunde <kunde@acme.example>
        |Date: Mi., 14. Okt. 2026 um 10:12 Uhr
        |Subject: Ausfall
        |To: <contact@integra.example>
        |
        |Nichts geht mehr.
        """,
    "proton: separator, attribution, quote signs, answer below": """
        |------- Original Message -------
        |On Wednesday, October 14th, 2026 at 10:12, Support <s@vendor.example> wrote:
        |
        |> Which ZOID?
        +
        +60012345678
        """,
    "interleaved answers stay new": """
        |On 14 Oct 2026, at 10:12, Support <s@vendor.example> wrote:
        |> Which ZOID?
        +60012345678
        |> Which super admin?
        +it@acme.example
        """,
    "answer below a quote that begins with From": """
        |> From: Support <s@vendor.example>
        |> Sent: Wednesday
        |> Subject: outage
        |>
        |> Which ZOID?
        +60012345678 is the number
        """,
    "text between two quoted blocks, the second with initials": """
        |> Which ZOID?
        +60012345678
        |C> And the super admin?
        |C> Thanks
        +it@acme.example
        """,
    "nested attributions without quote signs, with code that has some": """
        +Still broken.
        |On 14 Oct 2026, Support <s@vendor.example> wrote:
        |Try this in the shell:
        |> sync --all
        |>>>> done
        |On 13 Oct 2026, Integra <contact@integra.example> wrote:
        |It is broken.
        """,
    "attribution on the line of the answer": """
        +reply--- On Wed, 14 Oct 2026 10:12:00 +0200 Support <s@vendor.example> wrote:
        |Which ZOID?
        """,
    "attribution behind a sentence, HTML without breaks": """
        +Merci, c'est 60012345678. Le mer. 14 oct. 2026 à 10:12, Support <s@vendor.example> a écrit :
        |Quel ZOID ?
        """,
    "escaped angle brackets": """
        +Danke
        |Support &lt;s@vendor.example&gt; schrieb am Mi., 14. Okt. 2026, 10:12:
        |Welche ZOID?
        """,
    "date first, no verb, with a zone": """
        +60012345678
        |2026-10-14 11:28 GMT+03:00 Support <s@vendor.example>:
        |> Which ZOID?
        """,
    "narrow no-break spaces in the date": """
        +60012345678
        |On Wed, Oct 14, 2026 at 10:12\u202fAM Support\u00a0<s@vendor.example>\u202fwrote:
        |> Which ZOID?
        """,
    "forward whose subject and recipients wrap": """
        +Please see.
        |From: Customer <customer@acme.example>
        |Sent: Wednesday, October 14, 2026 10:12
        |To: Integra <contact@integra.example>;
        |Other Person <other@integra.example>
        |Subject: a very long subject that the client
        |wrapped over two lines
        |
        |Nothing works.
        """,
    "forward inside quoted text": """
        +60012345678
        |> See below
        |> -----Original Message-----
        |> From: Customer
        |> Nothing works.
        +Regards
        """,
    "bold markdown labels": """
        +Danke.
        |**Von:** Support <s@vendor.example>
        |**Gesendet:** Mittwoch, 14. Oktober 2026 10:12
        |**An:** Integra
        |**Betreff:** Ausfall
        |Guten Tag
        """,
    "thunderbird, forwarded, the subject first": """
        +Please see.
        |-------- Message transféré --------
        |Sujet :\tPanne
        |Date :\tWed, 14 Oct 2026 10:12:00 +0200
        |De :\tClient <client@acme.example>
        |Pour :\tcontact@integra.example
        |
        |Plus rien ne marche.
        """,
    "our line that asks to write above it": """
        +60012345678
        |##- Please write your answer above this line -##
        |Your ticket EU-000123
        """,
    "separators of five languages": """
        +Merci
        |-------- Message transféré --------
        |Bonjour
        |-------- Mensaje original --------
        |-------- Messaggio inoltrato --------
        |-------- Oorspronkelijk bericht --------
        |-------- Oryginalna wiadomość --------
        """,
    "the signature and its delimiter are new text": """
        +60012345678
        +--~
        +Jeanne, Integra
        |> Which ZOID?
        """,
    "quoted text after a signature": """
        +60012345678
        +--~
        +Jeanne
        |Le 14/10/2026 10:12, Support a écrit :
        |> Quel ZOID ?
        """,
}

NOTHING_QUOTED = {
    "a form of our kind": "Service: Zoho CRM\nOrganisation: 60012345678\nSubject: outage\nDate: 2026-10-14\nText: x",
    "a stretch of days": "The outage lasted\nFrom: Monday\nTo: Friday\nfor everybody",
    "lines of one word": "An\nKopie\nThema\nText",
    "a sentence with wrote": "As I wrote to admin@acme.example yesterday:\nthe ZOID is 60012345678",
    "a customer's words in german": "Am 14.10.2026 schrieb uns der Kunde, dass folgende ZOID gilt:\n60012345678",
    "a customer's words in french": "Le client admin@acme.example a écrit hier que :\nrien ne marche",
    "dashes and rules": "first\n-----\nsecond\n_____________\nthird",
    "an unquoted mail with a french opening": "Le client ne peut plus se connecter depuis 10:30 :\n- CRM\n- Desk",
    "an mbox escape": "Hello\n>From the start it was broken\nRegards",
    "only quote signs": "> Nothing works.\n> ZOID: 60012345678",
    "blank": "\n\n",
    "nothing": "",
}


def _fixture(text: str) -> tuple[list[str], list[bool]]:
    marked = textwrap.dedent(text).strip("\n").replace("~", " ").split("\n")  # a blank at a line's end, made visible
    return [line[1:] for line in marked], [line[0] == "|" for line in marked]


def _shown(lines: list[str], flags: list[bool] | tuple[bool, ...]) -> list[str]:
    """The fixture's form again, blank lines left out: they may count as either."""
    return [("|" if flag else "+") + line for line, flag in zip(lines, flags, strict=True) if line.strip()]


@pytest.mark.parametrize("name", CASES)
def test_new_and_quoted_lines_are_told_apart(name: str) -> None:
    lines, expected = _fixture(CASES[name])
    assert _shown(lines, quotes.quoted(lines)) == _shown(lines, expected)


@pytest.mark.parametrize("name", NOTHING_QUOTED)
def test_nothing_is_taken_for_a_quote_that_is_none(name: str) -> None:
    lines = NOTHING_QUOTED[name].split("\n")
    assert quotes.quoted(lines) == (False,) * len(lines)


def test_the_new_line_above_a_wrapped_attribution_stays_new() -> None:
    lines = [
        "Le client ne peut plus accéder depuis 10:30",
        "Le mer. 14 oct. 2026 à 10:12, Support <s@v.example> a écrit :",
    ]
    assert quotes.quoted([*lines, "> Quel ZOID ?"]) == (False, True, True)


FORWARD = """
+---------- Forwarded message ---------
+De : Client <client@acme.example>
+Date: mer. 14 oct. 2026 à 10:12
+Subject: Panne
+To: <contact@integra.example>
+
+Notre ZOID est 60012345678.
+
|De : Integra <contact@integra.example>
|Envoyé : mardi 13 octobre 2026
|À : Client
|Objet : Panne
|
|Quel est votre ZOID ?
"""


def test_a_bare_forward_by_thunderbird_is_content() -> None:
    labels = [
        "Subject: \tPanne",
        "Date: \tWed, 14 Oct 2026",
        "From: \tClient <c@acme.example>",
        "To: \tcontact@integra.example",
    ]
    lines = ["", "-------- Forwarded Message --------", *labels, "", "Notre ZOID est 60012345678"]
    assert quotes.quoted(lines) == (False,) * len(lines)


def test_a_bare_forward_is_content_up_to_the_history_below_it() -> None:
    lines, expected = _fixture(FORWARD)
    assert _shown(lines, quotes.quoted(lines)) == _shown(lines, expected)


def test_a_mail_that_begins_with_the_attribution_and_goes_on_unmarked_has_new_text() -> None:
    lines = ["On 14 Oct 2026, Support <s@vendor.example> wrote:", "", "My answer is 60012345678"]
    assert quotes.quoted(lines) == (True, False, False)


def test_the_answer_below_a_bold_header_block_is_new() -> None:
    lines = [
        "**Von:** Support <s@vendor.example>",
        "**Gesendet:** Mittwoch, 14. Oktober 2026",
        "**An:** X",
        "",
        "Die ZOID ist 60012345678",
    ]
    assert quotes.quoted(lines)[-1] is False


@pytest.mark.parametrize("prefix", ["", "> ", ">> ", "> > ", ">", "C> "])
def test_filled_lines_of_our_block_are_new_under_any_quoting(prefix: str) -> None:
    block = [
        "[[ À compléter dans votre réponse",
        "Super administrateur : it@acme.example",
        "ZOID :",
        "Service :\u00a0CRM ]]",
    ]
    lines = ["Bonjour", "-----Original Message-----", *(prefix + line for line in block), prefix + "Suite : texte"]
    assert quotes.quoted(lines) == (False, True, True, False, True, False, True)


def test_a_value_typed_under_its_label_counts_with_the_label() -> None:
    lines = ["ok", "-----Original Message-----", "[[ Form", "ZOID:", "60012345678", "Service:", "", "]]"]
    assert [line for line, flag in zip(lines, quotes.quoted(lines), strict=True) if not flag and line] == [
        "ok",
        "ZOID:",
        "60012345678",
    ]


def test_a_block_between_two_closed_marks_is_read_too() -> None:
    lines = ["ok", "> [[ begin ]]", "> ZOID: 60012345678", "> ZUID:", "> [[ end ]]", "> Else: x"]
    assert quotes.quoted(lines) == (False, True, False, True, True, True)
    assert quotes.filled(lines) == (False, False, True, False, False, False)


@pytest.mark.parametrize("block", ["[[ Form\nZOID: ____\n]]", "[[ never closed\nZOID: 1\nmore", "ZOID: 1\n]]"])
def test_empty_placeholders_and_open_blocks_are_no_values(block: str) -> None:
    lines = ["ok", *("> " + line for line in block.split("\n"))]
    assert not any(quotes.filled(lines))


def test_a_line_is_judged_by_its_first_thousand_characters() -> None:
    assert quotes.quoted(["new", "> " + "x" * 5000, "y" * 2000 + " wrote:"]) == (False, True, False)


_FRAGMENTS = [line for text in CASES.values() for line in _fixture(text)[0]] + ["", "[[ a:", "b: c", "]]", "> [[ x ]]"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(_FRAGMENTS) | st.text(max_size=30), max_size=25))
def test_whatever_stands_where_there_is_one_flag_a_line_and_never_only_quotes(lines: list[str]) -> None:
    flags = quotes.quoted(lines)
    assert len(flags) == len(lines)
    assert not lines or not any(line.strip() for line in lines) or not all(flags)


def test_a_mail_of_many_thousand_lines_is_still_told_apart_by_its_first() -> None:
    lines = ["new", "On 14 Oct 2026, Support <s@vendor.example> wrote:", *["text"] * 50_000]
    assert quotes.quoted(lines) == (False, *[True] * 50_001)


HOSTILE = {
    "On on one line": "On ",
    "On on lines": "On \n",
    "attributions": "On 14 Oct 2026, a <a@b.example> wrote:\n",
    "almost attributions": "On 14 Oct 2026, a <a@b.example> says:\n",
    "newlines": "\n",
    "quote signs": ">",
    "quoted lines": ">\n",
    "labels": "From: a\n",
    "senders": "From: a@b\n",
    "colons": "1:\n",
    "verbs and colons": "wrote 1:\n",
    "bare labels": "1.1.26\nan\nkopie\n",
    "forms": "> [[ a:\n",
    "dashes": "-",
    "brackets": "<" * 590 + "1:\n",
    "verbs": "on 1 " + "schrieb " * 70 + ":\n",
    "words": "on 1 " + "a " * 290 + ":\n",
    "entities": "&lt;",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_with_the_size_of_a_hostile_mail_not_with_its_square(name: str) -> None:
    small, large = (_seconds(HOSTILE[name], size) for size in (250_000, 1_000_000))
    assert large < 10 * small + 0.1, f"{small:.3f} s for 250 kB, {large:.3f} s for 1 MB"


def _seconds(pattern: str, size: int) -> float:
    lines = (pattern * (size // len(pattern))).split("\n")
    began = time.process_time()
    assert len(quotes.quoted(lines)) == len(lines)
    return time.process_time() - began
