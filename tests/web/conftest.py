"""Pages over a real database, and a browser without JavaScript."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.web import portal_house


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database with its tables: to copy it is faster than to migrate."""
    folder = tmp_path_factory.mktemp("schema")
    portal_house.install(folder, f"sqlite:///{folder}/triaged.db").app.database.dispose()
    return folder / "triaged.db"


@pytest.fixture
def house(tmp_path: Path, schema: Path) -> Iterator[portal_house.House]:
    shutil.copy(schema, tmp_path)
    house = portal_house.install(tmp_path, f"sqlite:///{tmp_path}/triaged.db")
    yield house
    house.app.database.dispose()


@pytest.fixture
def browser(house: portal_house.House) -> portal_house.Browser:
    return portal_house.Browser(house.pages())
