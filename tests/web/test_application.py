"""What stands before every page: headers, cookies, the host's name, limits, languages, errors."""

import dataclasses
import re
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import sqlalchemy
from starlette.testclient import TestClient
from tests.web import portal_house
from tests.web.portal_house import CLAIRE, Browser, House, accepted

from triaged.adapters import pages
from triaged.web import application
from triaged.web.limits import Buckets, Limits, Rate

LANGUAGES = ("fr", "en", "de")


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[House]:
    url = f"sqlite:///{tmp_path}/triaged.db"
    house = portal_house.install(tmp_path, url, "https://portal.example/select", "proxies = 1")
    yield house
    house.app.database.dispose()


@pytest.mark.parametrize("path", ["/", "/sign-in", "/contracts", "/i/x", "/nowhere", "/page.css", "/healthz"])
def test_every_answer_wears_the_headers(house: House, path: str) -> None:
    response = TestClient(house.pages(), base_url="http://127.0.0.1:8099").get(path, follow_redirects=False)
    policy = response.headers["content-security-policy"]
    for rule in ("default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert rule in policy
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "noindex" in response.headers["x-robots-tag"]
    assert "server" not in response.headers
    assert "strict-transport-security" not in response.headers
    if path != "/page.css":
        assert response.headers["cache-control"] == "no-store"


def test_pages_ask_nothing_of_anybody_else_and_run_nothing(house: House, browser: Browser) -> None:
    row = house.order()
    shown = [browser.get(path).text for path in (house.link(row), "/sign-in", "/i/x", "/nowhere")]
    shown += [accepted(house, row, browser).text, browser.get("/people").text]
    for text in shown:
        assert "<script" not in text
        assert " style=" not in text
        assert not re.search(r"""(?:src|href|action)=["'](?:https?:)?//""", text)
        assert not re.search(r"\son\w+=", text)


def test_over_https_cookies_are_tied_to_the_host_and_https_is_kept(secure: House) -> None:
    row = secure.order()
    client = TestClient(secure.pages(), base_url="https://portal.example")
    response = client.get(f"/select{secure.link(row)}")
    assert response.status_code == HTTPStatus.OK
    assert response.headers["strict-transport-security"].startswith("max-age=")
    cookies = response.headers.get_list("set-cookie")
    assert {cookie.partition("=")[0] for cookie in cookies} == {"__Host-triaged-browser", "__Host-triaged-language"}
    for cookie in cookies:
        assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))


def test_below_a_path_of_a_host_everything_works_as_at_its_top(secure: House) -> None:
    row = secure.order()
    browser = Browser(secure.pages(), "https://portal.example")
    browser.get(f"/select{secure.link(row)}").submit("/code", address=CLAIRE)
    assert browser.path.startswith("/select/i/")
    assert browser.submit("/accept", code=secure.code()).path == "/select/contracts"
    assert browser.submit("/sign-out").path == "/select/sign-in"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8099", 200), ("localhost", 200), ("[::1]:9", 200), ("evil.example", 421),
        ("127.0.0.1.evil.example", 421), ("", 421), ("a@127.0.0.1", 421), ("127.0.0.1:x", 421), ("localhost/evil", 421),
    ],
)  # fmt: skip
def test_only_our_own_name_and_loopback_are_answered(house: House, host: str, status: int) -> None:
    client = TestClient(house.pages(), base_url="http://127.0.0.1:8099")
    assert client.get("/sign-in", headers={"host": host}).status_code == status


@pytest.mark.parametrize(
    ("host", "status"), [("portal.example", 200), ("portal.example:443", 200), ("portal.example:80", 421)]
)
def test_the_public_name_counts_with_its_port(secure: House, host: str, status: int) -> None:
    client = TestClient(secure.pages(), base_url="https://portal.example")
    assert client.get("/select/sign-in", headers={"host": host}).status_code == status


@pytest.mark.parametrize("locale", LANGUAGES)
def test_an_invitation_s_page_speaks_its_recipient_s_language(house: House, locale: str) -> None:
    row = house.order()
    with house.app.database.write() as session:
        session.execute(sqlalchemy.text("UPDATE invitation SET locale = :locale"), {"locale": locale})
    browser = Browser(house.pages(), language="pl, it;q=0.9")
    assert f'<html lang="{locale}"' in browser.get(house.link(row)).text
    assert f'<html lang="{locale}"' in browser.get("/sign-in").text  # and so do the pages after it


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"), ("en;q=0.3, fr-CA;q=0.7", "fr"), ("ja", "fr"), ("", "fr"), ("*", "fr"),
        ("en;q=0", "fr"),
    ],
)  # fmt: skip
def test_other_pages_speak_the_browser_s_language_else_the_service_s(house: House, header: str, locale: str) -> None:
    assert f'<html lang="{locale}"' in Browser(house.pages(), language=header).get("/sign-in").text


def test_a_language_that_was_chosen_stays(house: House, browser: Browser) -> None:
    row = house.order()
    assert '<html lang="de"' in browser.get(f"{house.link(row)}?lang=de").text
    assert '<html lang="de"' in browser.get(house.link(row)).text
    assert "Code eingeben" in browser.submit("/code", address=CLAIRE).words
    assert '<html lang="fr"' in browser.get("/sign-in?lang=../../etc").text


@pytest.mark.parametrize("locale", LANGUAGES)
def test_every_page_is_there_in_every_language(house: House, locale: str) -> None:
    for broken in house.app.pages.problems():
        pytest.fail(broken)
    assert locale in house.app.pages.locales


def test_words_without_a_sentence_of_another_language_are_named(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    (folder / "xx").mkdir(parents=True)
    (folder / "xx/_pages.jinja").write_text("{% macro portal() %}Portal{% endmacro %}")
    shipped = pages.Pages([folder, *house.app.pages.directories])
    assert any("xx/_pages.jinja" in problem and "sign_in" in problem for problem in shipped.problems())


def test_a_path_that_is_nothing_gets_a_friendly_page(house: House, browser: Browser) -> None:
    page = browser.get("/wp-login.php")
    assert page.status == HTTPStatus.NOT_FOUND
    assert "Page introuvable" in page.words


def test_a_method_that_is_not_for_a_page_is_refused(house: House) -> None:
    client = TestClient(house.pages(), base_url="http://127.0.0.1:8099")
    assert client.post("/contracts").status_code == HTTPStatus.METHOD_NOT_ALLOWED
    assert client.put("/sign-in").status_code == HTTPStatus.METHOD_NOT_ALLOWED


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"address=" + b"a" * 20_000, "application/x-www-form-urlencoded", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (b"a=1&" * 30, "application/x-www-form-urlencoded", HTTPStatus.BAD_REQUEST),
        (b"address=\xff\xfe", "application/x-www-form-urlencoded", HTTPStatus.BAD_REQUEST),
        (b"address=%ff", "application/x-www-form-urlencoded", HTTPStatus.BAD_REQUEST),
        (b"{}", "application/json", HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
        (b"", "", HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    ],
)
def test_a_form_that_no_page_of_ours_sends_is_refused_before_it_is_read(
    house: House, body: bytes, kind: str, status: HTTPStatus
) -> None:
    client = TestClient(house.pages(), base_url="http://127.0.0.1:8099")
    assert client.post("/sign-in", content=body, headers={"content-type": kind}).status_code == status


def test_while_the_database_is_away_pages_say_so_and_when_to_come_again(house: House, browser: Browser) -> None:
    link = house.link(house.order())
    with house.app.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE invitation")
    page = browser.get(link)
    assert page.status == HTTPStatus.SERVICE_UNAVAILABLE
    assert page.headers["retry-after"] == "30"
    assert "momentanément indisponible" in page.words


def test_health_is_told_without_a_word_about_what_is_inside(house: House, browser: Browser) -> None:
    assert (browser.get("/healthz").status, browser.text) == (HTTPStatus.OK, '{"healthy":true}')
    with house.app.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE sign_in")
    assert (browser.get("/healthz").status, browser.text) == (HTTPStatus.SERVICE_UNAVAILABLE, '{"healthy":false}')


def test_a_fault_of_ours_is_a_friendly_page_too(house: House, browser: Browser) -> None:
    link = house.link(house.order())
    with house.app.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE invitation SET access = 'x'")
    page = browser.get(link)
    assert page.status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "Une erreur est survenue" in page.words
    assert page.headers["content-security-policy"].startswith("default-src 'none'")


def test_guessing_links_is_slowed_down_for_one_client_and_nobody_else(secure: House) -> None:
    row = secure.order()
    client = TestClient(secure.pages(Limits(misses=Rate(5, 0.0))), base_url="https://portal.example")
    guesser, owner = {"x-forwarded-for": "203.0.113.9"}, {"x-forwarded-for": "198.51.100.7"}
    answers = [client.get("/select/i/1-x", headers=guesser).status_code for _ in range(7)]
    assert answers == [404] * 5 + [429] * 2
    assert client.get(f"/select{secure.link(row)}", headers=guesser).status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert client.get(f"/select{secure.link(row)}", headers=owner).status_code == HTTPStatus.OK


def test_what_stands_before_our_proxy_s_entry_in_x_forwarded_for_changes_nothing(secure: House) -> None:
    client = TestClient(secure.pages(Limits(misses=Rate(2, 0.0))), base_url="https://portal.example")
    answers = [
        client.get("/select/i/1-x", headers={"x-forwarded-for": f"10.0.0.{number}, 203.0.113.9"}).status_code
        for number in range(3)
    ]
    assert answers == [404, 404, 429]


def test_without_proxies_x_forwarded_for_is_nobody_s_word(house: House) -> None:
    client = TestClient(house.pages(Limits(misses=Rate(2, 0.0))), base_url="http://127.0.0.1:8099")
    answers = [client.get("/i/1-x", headers={"x-forwarded-for": f"10.0.0.{number}"}).status_code for number in range(3)]
    assert answers == [404, 404, 429]


def test_too_many_forms_are_refused_and_mail_nothing(house: House) -> None:
    row = house.order()
    browser = Browser(house.pages(Limits(posts=Rate(2, 0.0))))
    for expected in (200, 200, 429):
        assert browser.get(house.link(row)).submit("/code", address=CLAIRE).status == expected
    assert "Trop de demandes" in browser.words
    assert len(house.owed()) == 2


def test_a_bucket_fills_again_and_forgets_the_clients_seen_longest_ago() -> None:
    now = [0.0]
    bucket = Buckets(Rate(2, 0.5), most=2, clock=lambda: now[0])
    assert [bucket.take("a") for _ in range(3)] == [True, True, False]
    assert bucket.empty("a")
    now[0] = 2.0
    assert [bucket.take("a"), bucket.take("a")] == [True, False]
    bucket.take("b")
    bucket.take("c")
    assert not bucket.empty("a")  # forgotten


def test_an_office_s_scanner_leaves_its_owner_enough_forms() -> None:
    assert Limits().posts.burst > 4 * 50


@pytest.mark.parametrize(
    ("lacking", "said"), [({"mailboxes": ()}, 'no .* has desk = "contracts"'), ({"senders": {}}, 'desk = "contracts"')]
)
def test_without_a_contracts_desk_there_are_no_pages_and_the_fix_is_named(
    house: House, lacking: dict[str, object], said: str
) -> None:
    house.app = dataclasses.replace(house.app, settings=dataclasses.replace(house.app.settings, **lacking))  # type: ignore[arg-type]  # either
    with pytest.raises(application.NotConfigured, match=said):
        house.pages()


def test_without_a_public_url_there_are_no_pages_and_the_fix_is_named(house: House) -> None:
    service = dataclasses.replace(house.app.settings.service, public_url="")
    house.app = dataclasses.replace(house.app, settings=dataclasses.replace(house.app.settings, service=service))
    with pytest.raises(application.NotConfigured, match=r"\[service\] public_url is missing"):
        house.pages()
