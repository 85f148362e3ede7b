"""The pages in a real browser over a real server: the owner gets in, scanners and forwarded links do not (row N7)."""

import socket
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.web.conftest import furnished
from tests.web.portal_house import CLAIRE, PAUL, House

from triaged.adapters.db import contracts, estate, invitations
from triaged.adapters.db.contract_models import Device, Extension, Room
from triaged.domain.estate import Entry, Kind
from triaged.domain.invitation import Access, State
from triaged.web import serving
from triaged.workflows import portal

pytestmark = pytest.mark.browser
SCREENS = Path(__file__).parents[2] / ".screens/pages"
Browsing = Callable[..., Any]


@dataclass
class Live:
    """An installation whose pages are served at `url`."""

    house: House
    url: str

    def link(self, row: int) -> str:
        return self.url + self.house.link(row)


@pytest.fixture
def live(tmp_path: Path, first: House) -> Iterator[Live]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        house = furnished(tmp_path, first, url)
        server = serving.server(house.pages())
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield Live(house, url)
        server.should_exit = True
        thread.join()
    house.app.database.dispose()


@pytest.fixture
def visitor(chromium: Any) -> Iterator[Browsing]:
    """A new browser without cookies each time it is called, with Playwright's options for it."""
    contexts: list[Any] = []

    def browsing(**options: Any) -> Any:
        contexts.append(chromium.new_context(locale="fr-FR", **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(15_000)
        return page

    yield browsing
    for context in contexts:
        context.close()


def ask(page: Any, link: str, address: str) -> None:
    page.goto(link)
    page.get_by_label("Adresse e-mail").fill(address)
    page.get_by_role("button", name="Recevoir mon code").click()


def enter(page: Any, code: str) -> None:
    page.get_by_label("Code à six chiffres").fill(code)
    page.get_by_role("button", name="Ouvrir mon accès").click()


@pytest.mark.parametrize("script", [True, False])
def test_the_owner_accepts_with_and_without_javascript(live: Live, visitor: Browsing, script: bool) -> None:
    row = live.house.order()
    page = visitor(java_script_enabled=script)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text))
    page.on("request", lambda request: request.url.startswith(live.url) or troubles.append(request.url))
    ask(page, live.link(row), CLAIRE)
    enter(page, live.house.code())
    assert page.url == f"{live.url}/contracts"
    assert page.get_by_role("heading", level=1).inner_text() == "Commandes de service"
    assert "SC-000001" in page.locator("main").inner_text()
    assert live.house.invitation(row).state is State.ACCEPTED
    assert [trouble for trouble in troubles if "favicon" not in trouble] == []


def test_a_scanner_fifty_times_leaves_the_owner_his_way_in(live: Live, visitor: Browsing) -> None:
    row = live.house.order()
    for _ in range(50):
        assert _request(live.link(row), "HEAD") == 200
        assert _request(live.link(row), "GET") == 200
        assert _request(f"{live.link(row)}/code", "POST", address=CLAIRE) == 403
        assert _request(f"{live.link(row)}/accept", "POST", code="000000") == 403
    scanner = visitor()
    for address in ("", "canary@scanner.example", "canary@scanner.example"):
        ask(scanner, live.link(row), address)
    assert live.house.owed() == []
    assert live.house.invitation(row).state is State.SENT
    owner = visitor()
    ask(owner, live.link(row), CLAIRE)
    enter(owner, live.house.code())
    assert owner.url == f"{live.url}/contracts"


def test_a_forwarded_link_fails_in_another_browser_even_with_the_first_one_s_code(
    live: Live, visitor: Browsing
) -> None:
    row = live.house.order()
    owner, other = visitor(), visitor()
    ask(owner, live.link(row), CLAIRE)
    code = live.house.code()
    other.goto(f"{live.link(row)}/accept")
    assert other.url == live.link(row)
    ask(other, live.link(row), PAUL)
    enter(other, code)
    assert "n’est pas le bon" in other.get_by_role("alert").inner_text()
    assert live.house.invitation(row).state is State.SENT
    enter(owner, code)
    assert owner.url == f"{live.url}/contracts"


def test_the_browser_is_known_again_when_the_link_is_followed_from_webmail(live: Live, visitor: Browsing) -> None:
    """The first visit by a link on somebody else's page sets the cookie, the second one brings it (SameSite=Lax)."""
    row = live.house.order()
    page = visitor()
    page.route("http://webmail.example/*", lambda route: route.fulfill(
        content_type="text/html", body=f'<a href="{live.link(row)}">Commencer</a>'
    ))  # fmt: skip
    page.goto("http://webmail.example/")
    page.get_by_role("link").click()
    page.get_by_label("Adresse e-mail").fill(CLAIRE)
    page.get_by_role("button").click()
    page.goto("http://webmail.example/")
    page.get_by_role("link").click()
    page.goto(f"{live.link(row)}/accept")
    enter(page, live.house.code())
    assert page.url == f"{live.url}/contracts"


def _request(url: str, method: str, **form: str) -> int:
    body = urllib.parse.urlencode(form).encode() if form else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, method=method), timeout=15) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


# Every page as a picture, for people to look at, and never wider than a phone


def _furnish(live: Live) -> dict[str, str]:
    """Something for every page to show; name of the page → its address."""
    house = live.house
    ended = {name: house.order(customer=f"{name}@acme.example") for name in ("expired", "replaced", "revoked", "used")}
    row = house.order(licences=1250)
    house.order(address="5 quai des Chartrons, 33000 Bordeaux, France", licences=12)
    with house.app.database.write() as session:
        for name, state in (("expired", "expired"), ("used", "accepted")):
            session.get_one(invitations.Invitation, ended[name]).state = state
        invitations.revoke(session, [ended["revoked"]], "test", house.now)
        first = house.invitation(ended["replaced"])
        contract = session.get_one(portal.Contract, first.contract_id)
        invitations.owe(session, contract, first.recipient, access=first.access, locale="fr", now=house.now)
        _estate(session, house)
        site = session.get_one(portal.Contract, 6)
        site.site = "5 quai des Chartrons, 33000 Bordeaux"
    places = {f"link-{name}": house.link(ended[name], 1) for name in ended}
    return {"link-open": house.link(row), "link-unknown": "/i/1-x", "nowhere": "/nowhere", **places}


def _estate(session: Any, house: House) -> None:
    about = contracts.listed(session)
    room = Room(customer_id=about[4].customer_id, site="", name="Salle Bleue")
    device = Device(
        serial="2148LZ0ABCD8", product="Rally Bar", customer_id=about[4].customer_id, purchased_on=date(2025, 1, 9)
    )
    session.add_all([room, device])
    session.flush()
    estate.add(session, [Entry(Kind.ASSIGNED, (room.customer_id, ""), about[4].id, room.id)], "test", house.now)
    contracts.cancel(session, about[1].id, "test", house.now)
    estate.cancelled(session, about[1].id, "test", house.now, house.app.settings.catalogue)
    for serial, status in (("2148LZ0ABCD8", "processed"), ("2148LZ0XXXX1", "processed"), ("2148LZ0XXXX2", "pending")):
        session.add(
            Extension(
                serial=serial, sku="994-000137", years=1, purchased_on=date(2026, 1, 12), status=status,
                customer_name=about[4].customer,
            )
        )  # fmt: skip


def _photographed(page: Any, name: str) -> None:
    """Full pages, light and dark, at a desk and on a phone; nothing may stick out to the side."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    for width in (1200, 390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            if width > 320:
                page.screenshot(path=SCREENS / f"{name}-{width}-{scheme}.png", full_page=True)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} px wide at {width}"


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_every_page_fits_a_phone_and_is_photographed(live: Live, visitor: Browsing, locale: str) -> None:
    places = _furnish(live)
    page = visitor()
    page.goto(f"{live.url}/sign-in?lang={locale}")
    _photographed(page, f"{locale}-sign-in")
    for name, path in places.items():
        page.goto(live.url + path)
        _photographed(page, f"{locale}-{name}")
    _walk(live, page, live.url + places["link-open"], locale)


def _walk(live: Live, page: Any, link: str, locale: str) -> None:
    """The owner's way, with its mistakes."""
    page.goto(link)
    page.locator("#address").fill("claire")
    page.evaluate("document.forms[0].noValidate = true")
    page.locator("main button").click()
    _photographed(page, f"{locale}-link-no-address")
    page.locator("#address").fill(CLAIRE)
    page.locator("main button").click()
    _photographed(page, f"{locale}-code")
    page.locator("#code").fill("12")
    page.locator("main button").click()
    _photographed(page, f"{locale}-code-wrong")
    page.locator("#code").fill(live.house.code())
    page.locator("main button").click()
    _photographed(page, f"{locale}-contracts")
    cookie = next(one["value"] for one in page.context.cookies() if one["name"] == "triaged-session")
    portal.name(live.house.app.portal, cookie, 1, PAUL, Access.READER, locale, live.house.now)
    page.goto(f"{live.url}/people?then=invited")
    _photographed(page, f"{locale}-people")
    page.locator('input[name="address"]:visible').first.fill("it@acme.example")
    page.locator("form.row button").first.click()
    _photographed(page, f"{locale}-people-refused")
    page.locator("header button").click()
    _photographed(page, f"{locale}-signed-out")
    for _ in range(4):
        page.goto(f"{live.url}/sign-in")
        page.locator("#address").fill(CLAIRE)
        page.locator("main button").click()
    _photographed(page, f"{locale}-too-often")
