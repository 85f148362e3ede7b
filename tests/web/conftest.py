"""Pages over a real database, and a browser without JavaScript."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.web import portal_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[portal_house.House]:
    house = portal_house.install(tmp_path, f"sqlite:///{tmp_path}/triaged.db")
    yield house
    house.app.database.dispose()


@pytest.fixture
def browser(house: portal_house.House) -> portal_house.Browser:
    return portal_house.Browser(house.pages())
