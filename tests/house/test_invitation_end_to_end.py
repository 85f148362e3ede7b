"""From the order's mail on Dovecot to its customer in a browser, everything real and asserted on the wire (issue 4)."""

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.house import desk
from tests.house.test_contracts import CLAIRE, DISTRIBUTOR, RESELLER, Counter, order, text
from tests.servers import imap_dovecot, smtp_sink

from triaged.domain.invitation import State
from triaged.web import application, serving

pytestmark = [pytest.mark.dovecot, pytest.mark.browser]


@pytest.fixture
def counter(tmp_path: Path, dovecot: imap_dovecot.Dovecot, relay: smtp_sink.SmtpSink) -> Iterator[Counter]:
    """A whole installation with its pages on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        database = f"sqlite:///{tmp_path}/t.db"
        with desk.installed(tmp_path, database, dovecot, relay.port, contracts=True, public_url=url) as house:
            server = serving.server(application.build(house.app))
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
            thread.start()
            yield Counter(house, dovecot, relay)
            server.should_exit = True
            thread.join()


def test_an_order_by_mail_ends_with_its_customer_in_the_portal_and_nobody_else(counter: Counter, chromium: Any) -> None:
    counter.say(order(), subject="Commande PO-4711")
    wire = [(one.recipients, one.content) for one in counter.relay.deliveries]
    assert sorted(recipients for recipients, _ in wire) == sorted([(CLAIRE,), (CLAIRE,), (RESELLER,), (DISTRIBUTOR,)])
    [link] = re.findall(r"https?://\S+/i/\S+", "\n".join(text(mail) for mail in counter.mails(CLAIRE)))
    forwarded, owner = (chromium.new_context(locale="fr-FR").new_page() for _ in range(2))
    ask(forwarded, link, "someone.else@acme.example")
    counter.house.once()
    assert len(counter.relay.deliveries) == 4
    ask(owner, link, CLAIRE)
    counter.house.once()
    [code] = re.findall(r"\b\d{6}\b", text(counter.mails(CLAIRE)[-1]))
    enter(forwarded, code)
    assert "/contracts" not in forwarded.url
    enter(owner, code)
    assert owner.url.endswith("/contracts")
    page = owner.locator("main").inner_text()
    assert "SC-000001" in page
    assert "PO-4711" not in page
    assert [one.state for one in counter.invitations()] == [State.ACCEPTED]
    for one in (forwarded, owner):
        one.context.close()


def ask(page: Any, link: str, address: str) -> None:
    page.goto(link)
    page.get_by_label("Adresse e-mail").fill(address)
    page.get_by_role("button").first.click()


def enter(page: Any, code: str) -> None:
    page.get_by_label("Code à six chiffres").fill(code)
    page.get_by_role("button").first.click()
