"""An installation with a portal: orders placed by the functions of the house, no mail server needed."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.testclient import TestClient

from triaged import app as composition
from triaged import web
from triaged.adapters.db import invitations, outbox
from triaged.adapters.db.contract_models import SignInCode
from triaged.app import App
from triaged.desks import correspondence, ordering, placing
from triaged.domain import credentials
from triaged.domain.delivery import State
from triaged.domain.order import Draft, DraftLine, Party
from triaged.web.limits import Limits

START = datetime(2026, 2, 3, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLAIRE, PAUL = "claire.martin@acme.example", "paul@acme.example"
RESELLER, DISTRIBUTOR = "contact@integra.example", "hilfe@nordlicht.example"
PARIS = "12 rue de la Paix, 75002 Paris, France"

_CONFIG = """\
[service]
domain = "support.example"
state_dir = "state"
locale = "fr"
catalogue = "catalogue.toml"
public_url = "{public_url}"
[database]
url = "{database_url}"
[[mailbox]]
name = "select"
desk = "contracts"
address = "select@vendor.example"
regions = ["eu"]
host = "127.0.0.1"
port = 1
security = "none"
username = "select"
password = "secret"
[smtp]
host = "127.0.0.1"
port = 1
security = "none"
[senders.contracts]
name = "Services de support Logitech"
address = "select@vendor.example"
[trust]
authserv_ids = ["mx.vendor.example"]
[web]
{web}
"""

_CATALOGUE = """\
[[sku]]
code = "994-000148"
service = "select"
years = 3
[[sku]]
code = "994-000137"
service = "warranty"
years = 1
[[product]]
name = "Rally Bar"
"""


@dataclass
class House:
    """`now` is what the pages take for the time."""

    app: App
    config: Path
    now: datetime = START
    orders: int = field(default=0)

    def pages(self, limits: Limits | None = None) -> Starlette:
        return web.build(self.app, clock=lambda: self.now, limits=limits)

    def order(
        self,
        customer: str = CLAIRE,
        name: str = "Claire Martin, Acme SA",
        address: str = PARIS,
        sku: str = "994-000148",
        licences: int = 40,
    ) -> int:
        """A reseller's order, placed and its invitation sent; returns the invitation's row."""
        self.orders += 1
        draft = Draft(
            po_number=f"PO-{self.orders:04d}",
            lines=(DraftLine(sku=sku, licences=str(licences)),),
            customer=Party(name, customer, address),
            reseller=Party("Integra", RESELLER, "3 place Bellecour, 69002 Lyon, France"),
            distributor=Party("Nordlicht GmbH", DISTRIBUTOR, "Speicherstadt 4, 20457 Hamburg, Deutschland"),
        )
        mailbox = self.app.settings.mailboxes[0]
        purchase = ordering.Purchase(draft, RESELLER, None, "fr", mailbox, self.now)
        cause = correspondence.Cause(f"t{self.orders}", f"T{self.orders}", "contracts", mailbox.name)
        with self.app.database.write() as session:
            weighed = ordering.weigh(purchase, self.app.desk, session)
            assert not weighed.problems, weighed.problems
            books = placing.Books(session, self.app.desk, self.app.post, "test", self.now, cause)
            booked = placing.order(books, weighed)
            row = invitations.listed(session, booked.contracts[0].id)[-1].id
        self.send()
        return row

    def send(self) -> None:
        """What is owed is sent: invitations' thirty days begin."""
        with self.app.database.write() as session:
            for claim in outbox.claim(session, "test", self.now, 100, HOUR).rows:
                if claim.seal:
                    assert isinstance(self.app.seals.opened(session, claim, self.now), bytes | str)
                    self.app.seals.sent(session, claim, self.now)
                outbox.withdraw(session, [claim.id], "sent in this test")

    def link(self, row: int, generation: int | None = None) -> str:
        """The path of an invitation's link."""
        return f"/i/{self.token(row, generation)}"

    def token(self, row: int, generation: int | None = None) -> str:
        found = self.invitation(row)
        return credentials.invitation_token(row, generation or found.generation, self.app.key)

    def invitation(self, row: int) -> invitations.InvitationRecord:
        with self.app.database.read() as session:
            found = invitations.record(session, row)
        assert found is not None
        return found

    def code(self) -> str:
        """The newest code, as its mail says it."""
        with self.app.database.read() as session:
            row = session.query(SignInCode).order_by(SignInCode.id.desc()).first()
        assert row is not None
        return credentials.code(row.id, row.nonce, self.app.key)

    def owed(self, notice: str = "sign_in_code") -> list[str]:
        """To whom mails of this kind are owed and not sent."""
        with self.app.database.read() as session:
            return [entry.recipient for entry in outbox.entries(session, (State.QUEUED,)) if entry.notice == notice]


def install(folder: Path, database_url: str, public_url: str = "http://127.0.0.1:8099", web_table: str = "") -> House:
    config = folder / "triaged.toml"
    config.touch(mode=0o600)
    config.write_text(_CONFIG.format(public_url=public_url, database_url=database_url, web=web_table))
    shutil.copy(composition.settings.shipped("config") / "policy.toml", folder / "policy.toml")
    (folder / "catalogue.toml").write_text(_CATALOGUE)
    app = composition.load(config)
    composition.upgrade(app)
    return House(app, config)


class Browser:
    """A browser without JavaScript: keeps cookies, fills in the forms that it is shown, follows where it is sent."""

    def __init__(self, pages: Starlette, url: str = "http://127.0.0.1:8099", language: str = "") -> None:
        headers = {"accept-language": language} if language else {}
        self.client = TestClient(pages, base_url=url, headers=headers, raise_server_exceptions=False)
        self.status, self.text, self.path = 0, "", ""
        self.headers: Mapping[str, str] = {}

    def get(self, path: str) -> "Browser":
        return self._seen(self.client.get(path))

    def submit(self, action: str, **typed: str) -> "Browser":
        """Fill in the shown form whose action ends so, and send it."""
        for form in re.findall(r"<form.*?</form>", self.text, re.DOTALL):
            target = re.search(r'action="([^"]*)"', form)
            if target and target[1].endswith(action):
                hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form))
                return self._seen(self.client.post(target[1], data={**hidden, **typed}))
        raise AssertionError(f"no form for {action} on {self.path}: {self.text}")

    def post(self, path: str, **typed: str) -> "Browser":
        return self._seen(self.client.post(path, data=typed))

    def _seen(self, response: object) -> "Browser":
        self.status, self.text = response.status_code, response.text  # type: ignore[attr-defined]  # httpx2's, no types here
        self.path, self.headers = response.url.path, response.headers  # type: ignore[attr-defined]  # same
        return self

    @property
    def words(self) -> str:
        """What the page says, in one line."""
        return " ".join(re.sub(r"<[^>]+>", " ", self.text).replace("\u00a0", " ").split())


def accepted(house: House, row: int, browser: Browser, address: str = CLAIRE) -> Browser:
    """The owner's way in."""
    browser.get(house.link(row)).submit("/code", address=address)
    browser.submit("/accept", code=house.code())
    assert (browser.status, browser.path) == (HTTPStatus.OK, "/contracts"), browser.words
    return browser
