"""The house under test: every server and database that it must work with."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.house import desk
from tests.servers import imap_dovecot, imap_pymap, smtp_sink


@pytest.fixture
def house(
    tmp_path: Path,
    database_url: str,
    imap_server: imap_pymap.Pymap | imap_dovecot.Dovecot,
    relay: smtp_sink.SmtpSink,
) -> Iterator[desk.Installation]:
    with desk.installed(tmp_path, database_url, imap_server, relay.port) as house:
        yield house
