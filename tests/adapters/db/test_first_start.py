"""Hosts that start for the first time on a new database, at the same moment."""

import time
from concurrent import futures

import pytest
import sqlalchemy
from tests.servers import postgres

from triaged.adapters.db import engine, installation, migrations


def live(database: engine.Database) -> int:
    with database.write() as session:
        return installation.live(session)


def waits(database: engine.Database) -> bool:
    with database.read() as session:
        return bool(session.scalar(sqlalchemy.text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


@pytest.mark.postgres
def test_the_second_waits_for_the_first_and_gives_its_own_sign_of_life(postgresql: postgres.Postgres) -> None:
    database = engine.Database(postgresql.fresh_database())
    migrations.METADATA.create_all(database.engine)
    with futures.ThreadPoolExecutor(1) as other:
        with database.write() as session:
            assert installation.live(session) == 1
            second, end = other.submit(live, database), time.monotonic() + 10
            while not waits(database) and time.monotonic() < end:
                time.sleep(0.01)
        assert second.result(10) == 2
    database.dispose()
