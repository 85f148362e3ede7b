"""Houses that get hostile mail: one for each test that changes something, one for all that only ask."""

import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.threats import threatened

from triaged import log
from triaged.desks import reception

Judge = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A house on SQLite, with both desks: made once, and copied for each test that changes it."""
    folder = tmp_path_factory.mktemp("built")
    threatened.house(folder, f"sqlite:///{folder}/t.db", contracts=True).app.database.dispose()
    return folder


@pytest.fixture
def house(tmp_path: Path, built: Path) -> Iterator[threatened.House]:
    """On SQLite, with both desks."""
    made = threatened.copied(built, tmp_path)
    yield made
    made.app.database.dispose()


@pytest.fixture
def either_house(tmp_path: Path, database_url: str) -> Iterator[threatened.House]:
    """On both databases, with both desks."""
    made = threatened.house(tmp_path, database_url, contracts=True)
    yield made
    made.app.database.dispose()


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What is logged from now on: ask for it after the house."""
    stream = io.StringIO()
    log.configure(stream=stream)
    yield stream
    log.configure()


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory, built: Path) -> Iterator[Judge]:
    """The decision on a mail, nothing stored: `judge(raw, mailbox=…, arrived=…)`."""
    made = threatened.copied(built, tmp_path_factory.mktemp("judge"))

    def judged(raw: bytes, mailbox: str = "partners-eu", arrived: datetime | None = None) -> dict[str, Any]:
        app = made.app
        mail = reception.read_mail(raw, app.settings.mailbox(mailbox), app.desk, arrived or datetime.now(UTC))
        with app.database.read() as session:
            return reception.consider(mail, app.desk, session).decision.document()

    yield judged
    made.app.database.dispose()
