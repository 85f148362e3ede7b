"""Servers and databases of the tests. What the machine lacks is a loud skip; in CI (environment CI=true) a failure."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers import imap_dovecot, imap_pymap, postgres, smtp_sink

from triaged.adapters.db import engine, migrations


def _require(installed: bool, advice: str) -> None:
    if not installed and os.environ.get("CI") == "true":
        pytest.fail(advice)
    if not installed:
        pytest.skip(advice)


@pytest.fixture(scope="session")
def pymap() -> Iterator[imap_pymap.Pymap]:
    server = imap_pymap.Pymap()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def dovecot() -> Iterator[imap_dovecot.Dovecot]:
    _require(imap_dovecot.installed(), imap_dovecot.ADVICE)
    server = imap_dovecot.Dovecot()
    yield server
    server.stop()


@pytest.fixture(params=["pymap", pytest.param("dovecot", marks=pytest.mark.dovecot)])
def imap_server(request: pytest.FixtureRequest) -> imap_pymap.Pymap | imap_dovecot.Dovecot:
    """A real IMAP server; `mailbox()` makes a new empty one, `deliver`, `mails` and `renumber` act behind its back."""
    server: imap_pymap.Pymap | imap_dovecot.Dovecot = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def relay() -> Iterator[smtp_sink.SmtpSink]:
    """The same as `smtp_sink`, for tests that import the module of that name."""
    sink = smtp_sink.SmtpSink()
    yield sink
    sink.stop()


@pytest.fixture(name="smtp_sink")
def _smtp_sink(relay: smtp_sink.SmtpSink) -> smtp_sink.SmtpSink:
    return relay


@pytest.fixture(scope="session")
def postgresql() -> Iterator[postgres.Postgres]:
    _require(postgres.installed(), postgres.ADVICE)
    server = postgres.Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium (Debian's: Playwright's own browsers are not downloaded), for Playwright's sync interface."""
    path = shutil.which("chromium")
    _require(path is not None, "no Chromium here: as root, apt install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a new, empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/triaged.db"
    server: postgres.Postgres = request.getfixturevalue("postgresql")
    return server.fresh_database()


@pytest.fixture
def database(database_url: str) -> Iterator[engine.Database]:
    """A new database with its tables."""
    database = engine.Database(database_url)
    migrations.METADATA.create_all(database.engine)
    yield database
    database.dispose()
