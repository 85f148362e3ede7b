"""Hosts that start for the first time on a new database, all at once."""

import threading
from concurrent import futures

from triaged.adapters.db import engine, installation


def test_each_of_them_gives_its_sign_of_life(database: engine.Database) -> None:
    together = threading.Barrier(6)

    def start(_host: int) -> int:
        together.wait()
        with database.write() as session:
            return installation.live(session)

    with futures.ThreadPoolExecutor(6) as hosts:
        assert sorted(hosts.map(start, range(6))) == [1, 2, 3, 4, 5, 6]
