"""Pages over a real database, and a browser without JavaScript."""

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.web import portal_house


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> portal_house.House:
    """An installation nobody works in: to copy its empty database is faster than to migrate, and its mails' templates
    are compiled once."""
    folder = tmp_path_factory.mktemp("first")
    house = portal_house.install(folder, f"sqlite:///{folder}/triaged.db")
    house.app.database.dispose()
    return house


@pytest.fixture
def house(tmp_path: Path, first: portal_house.House) -> Iterator[portal_house.House]:
    house = furnished(tmp_path, first)
    yield house
    house.app.database.dispose()


def furnished(folder: Path, first: portal_house.House, public_url: str = "http://127.0.0.1:8099") -> portal_house.House:
    """Another installation, of its own database."""
    assert first.app.database.path is not None
    shutil.copy(first.app.database.path, folder / "triaged.db")
    house = portal_house.install(folder, f"sqlite:///{folder}/triaged.db", public_url)
    house.app = dataclasses.replace(house.app, renderer=first.app.renderer)
    return house


@pytest.fixture
def browser(house: portal_house.House) -> portal_house.Browser:
    return portal_house.Browser(house.pages())
