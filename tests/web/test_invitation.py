"""The link of an invitation (rows C5, N7): who opens it, who does not, and what the others are told."""

import re
import urllib.parse
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from tests.web import portal_house
from tests.web.portal_house import CLAIRE, DISTRIBUTOR, HOUR, PAUL, RESELLER, START, Browser, House, accepted

from triaged.adapters.db import invitations
from triaged.adapters.db.contract_models import SignInCode
from triaged.domain import credentials, verbs
from triaged.domain.invitation import State
from triaged.domain.request import Verb
from triaged.mail import reader
from triaged.workflows import portal
from triaged.workflows.portal import LinkState


def test_the_owner_opens_the_link_types_the_code_and_sees_the_orders(database_url: str, tmp_path: Path) -> None:
    house = portal_house.install(tmp_path, database_url)
    row = house.order()
    browser = accepted(house, row, Browser(house.pages()))
    assert "SC-000001" in browser.words
    assert "40 licences Logitech Select" in browser.words
    assert house.invitation(row).state is State.ACCEPTED
    assert house.owed() == [CLAIRE]
    house.app.database.dispose()


def test_an_open_page_says_nothing_of_recipient_customer_contract_or_sellers(house: House, browser: Browser) -> None:
    row = house.order()
    page = browser.get(house.link(row))
    assert page.status == HTTPStatus.OK
    told = page.text.lower()
    for secret in (CLAIRE, "claire", "martin", "acme", "sc-0000", "po-0001", RESELLER, DISTRIBUTOR, "integra"):
        assert secret not in told, secret
    assert "40" not in page.words  # licences
    assert "jeudi 5 mars 2026, 10:30 (Paris)" in page.words


def test_scanners_that_look_and_post_blindly_use_nothing_up_and_cause_no_mail(house: House) -> None:
    row = house.order()
    pages = house.pages()
    for _ in range(50):
        scanner = Browser(pages)
        assert scanner.client.head(house.link(row)).status_code == HTTPStatus.OK
        assert scanner.get(house.link(row)).status == HTTPStatus.OK
        stranger = Browser(pages)
        assert stranger.post(f"{house.link(row)}/code", address=CLAIRE).status == HTTPStatus.FORBIDDEN
        assert stranger.post(f"{house.link(row)}/accept", code="123456").status == HTTPStatus.FORBIDDEN
    assert house.owed() == []
    assert house.invitation(row).state is State.SENT
    accepted(house, row, Browser(pages))


def test_a_scanner_that_presses_the_real_button_does_not_use_up_the_owner_s_codes(house: House) -> None:
    row = house.order()
    pages = house.pages()
    for number in range(30):
        scanner = Browser(pages).get(house.link(row))
        assert scanner.submit("/code", address=f"canary{number}@scanner.example").path.endswith("/accept")
        scanner.submit("/accept", code="000000")
    assert house.owed() == []
    accepted(house, row, Browser(pages))


def test_the_answer_is_the_same_whatever_address_was_typed(house: House) -> None:
    row = house.order()
    pages = house.pages()
    answers = []
    for address in (CLAIRE, PAUL):
        page = Browser(pages).get(house.link(row)).submit("/code", address=address)
        answers.append((page.status, page.words.replace(address, "…")))
    assert answers[0] == answers[1]
    assert house.owed() == [CLAIRE]


def test_a_forwarded_link_stays_shut_in_another_browser_even_with_the_owner_s_code(house: House) -> None:
    row = house.order()
    pages = house.pages()
    owner, other = Browser(pages), Browser(pages)
    owner.get(house.link(row)).submit("/code", address=CLAIRE)
    code = house.code()
    other.get(house.link(row)).submit("/code", address=PAUL)
    refused = other.submit("/accept", code=code)
    assert refused.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert house.invitation(row).state is State.SENT
    assert owner.submit("/accept", code=code).path == "/contracts"


def test_a_code_that_another_browser_asked_for_is_not_even_awaited_here(house: House) -> None:
    row = house.order()
    pages = house.pages()
    owner, other = Browser(pages), Browser(pages)
    owner.get(house.link(row)).submit("/code", address=CLAIRE)
    other.get(house.link(row))
    assert other.get(f"{house.link(row)}/accept").path == house.link(row)
    done = portal.accept(house.app.portal, house.token(row), house.code(), "another browser", house.now)
    assert done == "none"
    assert house.invitation(row).state is State.SENT


def test_the_fifth_wrong_code_kills_the_code(house: House, browser: Browser) -> None:
    row = house.order()
    browser.get(house.link(row)).submit("/code", address=CLAIRE)
    code = house.code()
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    for _ in range(4):
        assert "n’est pas le bon" in browser.submit("/accept", code=wrong).words
    assert "ne fonctionne plus" in browser.submit("/accept", code=wrong).words
    browser.get(f"{house.link(row)}/accept")
    assert "ne fonctionne plus" in browser.submit("/accept", code=code).words
    assert house.invitation(row).state is State.SENT
    accepted(house, row, browser)


def test_a_code_is_good_for_ten_minutes(house: House, browser: Browser) -> None:
    row = house.order()
    browser.get(house.link(row)).submit("/code", address=CLAIRE)
    shown = browser.text
    house.now += timedelta(minutes=11)
    browser.text = shown
    assert "plus de dix minutes" in browser.submit("/accept", code=house.code()).words
    assert house.invitation(row).state is State.SENT


def test_a_code_just_within_its_ten_minutes_works_with_spaces_in_it(house: House, browser: Browser) -> None:
    row = house.order()
    browser.get(house.link(row)).submit("/code", address=f" {CLAIRE.upper()} ")
    house.now += timedelta(minutes=9, seconds=59)
    code = house.code()
    assert browser.submit("/accept", code=f" {code[:3]} {code[3:]} ").path == "/contracts"


def test_the_fourth_code_within_an_hour_is_refused_with_the_time_of_the_next(house: House, browser: Browser) -> None:
    row = house.order()
    for _ in range(3):
        browser.get(house.link(row)).submit("/code", address=CLAIRE)
        house.now += timedelta(minutes=5)
    assert house.owed() == [CLAIRE] * 3
    refused = browser.get(house.link(row)).submit("/code", address=CLAIRE)
    assert refused.status == HTTPStatus.TOO_MANY_REQUESTS
    assert "dans 45 minutes, le mardi 3 février 2026, 11:30 (Paris)" in refused.words
    assert refused.headers["retry-after"] == str(45 * 60)
    assert house.owed() == [CLAIRE] * 3
    house.now = START + HOUR + timedelta(seconds=1)
    accepted(house, row, browser)


def test_the_fourth_question_is_refused_alike_for_an_address_that_is_not_the_invitation_s(house: House) -> None:
    row = house.order()
    browser = Browser(house.pages())
    for _ in range(3):
        browser.get(house.link(row)).submit("/code", address=PAUL)
    assert browser.get(house.link(row)).submit("/code", address=PAUL).status == HTTPStatus.TOO_MANY_REQUESTS
    assert house.owed() == []


def test_only_the_newest_code_of_a_browser_works(house: House, browser: Browser) -> None:
    row = house.order()
    browser.get(house.link(row)).submit("/code", address=CLAIRE)
    first = house.code()
    browser.get(house.link(row)).submit("/code", address=CLAIRE)
    second = house.code()
    if first != second:
        assert "n’est pas le bon" in browser.submit("/accept", code=first).words
    assert browser.submit("/accept", code=second).path == "/contracts"


def test_a_code_that_was_used_opens_nothing_again(house: House, browser: Browser) -> None:
    row = house.order()
    accepted(house, row, browser)
    again = portal.accept(
        house.app.portal, house.token(row), house.code(), browser.client.cookies["triaged-browser"], house.now
    )
    assert again == portal.Link(LinkState.USED, "fr", "Europe/Paris", house.invitation(row).expires_at)
    used = Browser(house.pages()).get(house.link(row))
    assert used.status == HTTPStatus.GONE
    assert "a déjà servi" in used.words
    assert 'href="/sign-in"' in used.text


def test_the_owner_who_comes_back_by_his_old_link_is_led_to_his_orders(house: House, browser: Browser) -> None:
    row = house.order()
    accepted(house, row, browser)
    assert browser.get(house.link(row)).path == "/contracts"


def test_an_expired_link_says_until_when_it_worked_and_prepares_the_request(house: House, browser: Browser) -> None:
    row = house.order()
    house.now += timedelta(days=30, minutes=1)
    page = browser.get(house.link(row))
    assert page.status == HTTPStatus.GONE
    assert "a expiré" in page.words
    assert "jusqu’au jeudi 5 mars 2026, 10:30 (Paris)" in page.words
    assert 'href="mailto:select@vendor.example?subject=Renvoyer%20mon%20invitation' in page.text
    assert CLAIRE not in page.text
    assert browser.post(f"{house.link(row)}/code", address=CLAIRE).status == HTTPStatus.FORBIDDEN


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_the_mail_that_a_page_prepares_is_understood_when_it_comes(house: House, browser: Browser, locale: str) -> None:
    row = house.order()
    house.now += timedelta(days=31)
    page = browser.get(f"{house.link(row)}?lang={locale}")
    found = re.search(r'href="mailto:(\S+?)\?subject=(\S+?)&amp;body=(\S+?)"', page.text)
    assert found is not None
    to, subject, body = (urllib.parse.unquote(part) for part in found.groups())
    raw = f"From: {CLAIRE}\r\nTo: {to}\r\nSubject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}"
    message = reader.read(raw.encode(), house.app.settings.house)
    asked = verbs.read(message, house.app.settings.verb_words)
    assert asked.verb is Verb.RESEND_INVITATION, asked


def test_the_link_works_until_its_last_minute(house: House, browser: Browser) -> None:
    row = house.order()
    house.now += timedelta(days=30)
    accepted(house, row, browser)


def test_a_replaced_link_says_when_the_mail_that_replaces_it_was_sent(house: House, browser: Browser) -> None:
    first = house.order()
    old = house.link(first)
    house.now += timedelta(days=2)
    with house.app.database.write() as session:
        contract = session.get_one(portal.Contract, 1)
        row = invitations.owe(
            session, contract, CLAIRE, access=house.invitation(first).access, locale="fr", now=house.now
        )
        invitations.claimed(session, row.id, house.now, timedelta(days=30))
        invitations.sent(session, row.id, house.now)
    page = browser.get(old)
    assert page.status == HTTPStatus.GONE
    assert "Une invitation plus récente remplace ce lien" in page.words
    assert "jeudi 5 février 2026, 10:30 (Paris)" in page.words
    accepted(house, row.id, browser)


def test_a_revoked_link_opens_nothing_any_more_even_with_a_code_in_hand(house: House, browser: Browser) -> None:
    row = house.order()
    browser.get(house.link(row)).submit("/code", address=CLAIRE)
    with house.app.database.write() as session:
        invitations.revoke(session, [row], "test", house.now)
    page = browser.submit("/accept", code=house.code())
    assert page.status == HTTPStatus.GONE
    assert "n’est plus valable" in page.words


def test_no_guess_among_ten_thousand_finds_a_link(house: House) -> None:
    row = house.order()
    genuine = house.token(row)
    guesses = [f"{genuine[: 2 + number % 32]}{number:032d}"[:34] for number in range(10_000)]
    assert genuine not in guesses
    assert not [guess for guess in guesses if credentials.fits(guess, row, 1, house.app.key)]
    for guess in guesses[::20]:
        assert portal.open_link(house.app.portal, guess, house.now) == portal.Link(LinkState.UNKNOWN)


@pytest.mark.parametrize(
    "guess",
    [
        "x",
        "1-",
        "0-" + "A" * 32,
        "zzzzzzzzzzzz-" + "A" * 32,
        "1-" + "A" * 33,
        "1-é" + "A" * 31,
        "1-%00" + "A" * 29,
        "-1-A",
    ],
)
def test_what_is_no_link_is_answered_as_unknown(house: House, browser: Browser, guess: str) -> None:
    house.order()
    page = browser.get(f"/i/{guess}")
    assert page.status == HTTPStatus.NOT_FOUND
    assert "n’ouvre aucune invitation" in page.words


def test_the_link_of_an_earlier_generation_does_not_pass_for_the_row_s_own(house: House, browser: Browser) -> None:
    row = house.order()
    assert browser.get(f"/i/{house.token(row, generation=2)}").status == HTTPStatus.NOT_FOUND


def test_a_full_stop_that_a_mail_program_left_at_the_link_does_no_harm(house: House, browser: Browser) -> None:
    row = house.order()
    browser.get(f"{house.link(row)}.").submit("/code", address=CLAIRE)
    assert browser.submit("/accept", code=house.code()).path == "/contracts"


def test_a_form_token_is_worth_nothing_for_another_form_or_in_another_browser(house: House) -> None:
    row = house.order()
    pages = house.pages()
    one, two = Browser(pages).get(house.link(row)), Browser(pages).get(house.link(row))
    found = re.search(r'name="form" value="(\w+)"', one.text)
    assert found is not None
    assert two.post(f"{house.link(row)}/code", form=found[1], address=CLAIRE).status == HTTPStatus.FORBIDDEN
    assert one.post(f"{house.link(row)}/accept", form=found[1], code="1").status == HTTPStatus.FORBIDDEN
    assert one.post("/sign-in", form=found[1], address=CLAIRE).status == HTTPStatus.FORBIDDEN
    assert house.owed() == []


def test_something_that_is_no_address_is_said_at_once(house: House, browser: Browser) -> None:
    row = house.order()
    page = browser.get(house.link(row)).submit("/code", address="claire.martin")
    assert page.status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "pas une adresse e-mail complète" in page.words
    assert 'value="claire.martin"' in page.text


def test_neither_code_nor_cookie_rests_in_the_database_or_its_mail(house: House, browser: Browser) -> None:
    row = house.order()
    accepted(house, row, browser)
    kept = {path: path.read_bytes() for path in house.config.parent.rglob("triaged.db*")}
    cookies = [browser.client.cookies[name] for name in ("triaged-browser", "triaged-session")]
    for secret in (*cookies, house.token(row), house.code()):
        assert not [path for path, content in kept.items() if secret.encode() in content], secret


def test_two_who_press_at_once_are_let_in_once(house: House, browser: Browser) -> None:
    row = house.order()
    browser.get(house.link(row)).submit("/code", address=CLAIRE)
    name, code = browser.client.cookies["triaged-browser"], house.code()
    first = portal.accept(house.app.portal, house.token(row), code, name, house.now)
    second = portal.accept(house.app.portal, house.token(row), code, name, house.now)
    assert isinstance(first, portal.SignedIn)
    assert isinstance(second, portal.Link)


def test_old_codes_are_forgotten_after_a_day(house: House, browser: Browser) -> None:
    row = house.order()
    browser.get(house.link(row)).submit("/code", address=CLAIRE)
    house.now += timedelta(days=1, minutes=11)
    browser.get(house.link(row)).submit("/code", address=CLAIRE)
    with house.app.database.read() as session:
        assert session.query(SignInCode).count() == 1
