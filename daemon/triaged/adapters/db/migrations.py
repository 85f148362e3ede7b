"""Schema versions: the only door to alembic. `migrations/` holds one file per step, for SQLite and PostgreSQL."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from triaged.adapters.db import contract_models
from triaged.adapters.db.engine import Database
from triaged.adapters.db.models import Base

METADATA = Base.metadata
assert "contract" in METADATA.tables, contract_models  # both files of tables are imported


def upgrade(database: Database, scripts: Path, revision: str = "head") -> str:
    """Bring the schema to `revision`; returns where it stands. Each step is one transaction."""
    _run(database, scripts, lambda config: command.upgrade(config, revision))
    return current(database) or "empty"


def downgrade(database: Database, scripts: Path, revision: str) -> None:
    """Back to an older schema: data that it has no place for is lost."""
    _run(database, scripts, lambda config: command.downgrade(config, revision))


def current(database: Database) -> str | None:
    """The revision that the database says it has; None when it was never set up."""
    with database.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def head(scripts: Path) -> str:
    """The newest revision that this program knows."""
    return ScriptDirectory.from_config(_config(scripts)).get_current_head() or "empty"


def known(scripts: Path) -> frozenset[str]:
    """Every revision that this program can bring up to its own."""
    return frozenset(step.revision for step in ScriptDirectory.from_config(_config(scripts)).walk_revisions())


def differences(database: Database) -> list[Any]:
    """What the tables have that the models do not, and the other way round; [] is right."""
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, METADATA))


def _config(scripts: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _run(database: Database, scripts: Path, action: Any) -> None:
    with database.engine.connect() as connection:
        config = _config(scripts)
        writing = connection.execution_options(triaged_writes=True)
        if database.dialect == "sqlite":  # batch mode copies tables: references are checked when it is done
            writing.exec_driver_sql("PRAGMA foreign_keys=OFF")
            writing.rollback()
        with writing.begin():
            config.attributes["connection"] = writing
            action(config)
        if database.dialect == "sqlite":
            writing.exec_driver_sql("PRAGMA foreign_keys=ON")
            writing.rollback()
