"""The schema's steps, on both databases: up, down, and equal to the models (issue 2, item 1)."""

from triaged import settings
from triaged.adapters.db import engine, migrations

SCRIPTS = settings.shipped("migrations")


def test_upgrade_makes_exactly_the_tables_of_the_models(database_url: str) -> None:
    database = engine.Database(database_url)
    assert migrations.current(database) is None
    assert migrations.upgrade(database, SCRIPTS) == migrations.head(SCRIPTS)
    assert migrations.differences(database) == []
    database.dispose()


def test_downgrade_leaves_nothing_behind_and_upgrade_works_again(database_url: str) -> None:
    database = engine.Database(database_url)
    migrations.upgrade(database, SCRIPTS)
    migrations.downgrade(database, SCRIPTS, "base")
    assert migrations.current(database) is None
    assert migrations.upgrade(database, SCRIPTS) == migrations.head(SCRIPTS)
    database.dispose()


def test_a_second_upgrade_changes_nothing(database_url: str) -> None:
    database = engine.Database(database_url)
    assert migrations.upgrade(database, SCRIPTS) == migrations.upgrade(database, SCRIPTS)
    database.dispose()
