"""An installation with a contracts mailbox, customers and contracts, for tests of the estate; no server is asked."""

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from triaged import app as composition
from triaged import settings
from triaged.adapters.db import estate
from triaged.adapters.db.contract_models import Contract, Customer, CustomerDomain, PurchaseOrder, contract_number
from triaged.app import App
from triaged.desks.bureau import Bureau
from triaged.domain import customer as names
from triaged.domain.contract import last_day

MAY = datetime(2026, 5, 4, 9, tzinfo=UTC)

_CONFIG = """\
[service]
domain = "support.example"
state_dir = "state"
locale = "en"
public_url = "https://portal.example"
policy = "policy.toml"
catalogue = "catalogue.toml"
[database]
url = "{url}"
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
name = "Services de support"
address = "select@vendor.example"
[trust]
authserv_ids = ["mx.vendor.example"]
"""

_CATALOGUE = """\
[[sku]]
code = "994-000148"
service = "select"
years = 1
[[product]]
name = "Rally Bar"
[[product]]
name = "Tap IP"
[[country]]
code = "CH"
services = ["select"]
note = "RMA within two business days"
{term}
"""


@dataclass(frozen=True)
class EstateHouse:
    app: App
    config: Path

    def bureau(self, actor: str = "alma") -> Bureau:
        return Bureau(self.app.database, self.app.desk, self.app.post, actor)

    def customer(self, name: str, **facts: Any) -> int:
        domains = facts.pop("domains", ())
        with self.app.database.write() as session:
            row = Customer(name=name, folded=names.name_key(name), **facts)
            session.add(row)
            session.flush()
            session.add_all(CustomerDomain(customer_id=row.id, domain=domain) for domain in domains)
            return row.id

    def contract(self, customer: int, licences: int, at: datetime = MAY, **facts: Any) -> int:
        """An active contract of a customer, purchased at an instant, with its entry in the ledger."""
        with self.app.database.write() as session:
            row = contract_row(customer, licences, at, **facts)
            session.add(order := order_row(at))
            session.flush()
            row.order_id = order.id
            session.add(row)
            session.flush()
            estate.purchased(session, row.id, "alma", at, self.app.settings.catalogue)
            return row.id


def number(row: int) -> str:
    return contract_number(row)


def order_row(at: datetime) -> PurchaseOrder:
    return PurchaseOrder(
        placed_by=f"Integra {at}", sender="orders@integra.example", state="accepted", reason="order_complete",
        draft={}, po_folded=str(id(at)) + str(datetime.now(UTC)), locale="fr", mailbox="select", received_at=at,
    )  # fmt: skip


def contract_row(customer: int, licences: int, at: datetime, **facts: Any) -> Contract:
    starts = facts.pop("starts", at.date())
    years = facts.pop("years", 1)
    values: dict[str, Any] = {
        "position": 1, "service": "select", "sku": "994-000148", "years": years, "licences": licences,
        "customer_id": customer, "site": "", "po_number": "PO-1", "placed_by": "Integra",
        "customer_contact": "Ada", "customer_email": "ada@acme.example", "customer_address": "1 rue X, Paris",
        "reseller_name": "Integra", "reseller_email": "orders@integra.example", "reseller_address": "2 rue Y, Lyon",
        "distributor_name": "Distri", "distributor_email": "po@distri.example", "distributor_address": "3 rue Z, Lille",
        "country": "FR", "timezone": "Europe/Paris", "locale": "fr", "order_locale": "fr", "mailbox": "select",
        "purchased_at": at, "created_at": at, "starts": starts, "ends": last_day(starts, years) if starts else None,
        "cancellable_until": at.date() + timedelta(days=30),
    }  # fmt: skip
    return Contract(**(values | facts))


def opened(folder: Path, url: str, term: str = "") -> EstateHouse:
    """Configuration, schema, nothing in it; `term` stands at the end of catalogue.toml."""
    shutil.copy(settings.shipped("config") / "policy.toml", folder / "policy.toml")
    (folder / "catalogue.toml").write_text(_CATALOGUE.format(term=term))
    config = folder / "triaged.toml"
    config.touch(mode=0o600)
    config.write_text(_CONFIG.format(url=url))
    app = composition.load(config)
    composition.upgrade(app)
    return EstateHouse(app, config)
