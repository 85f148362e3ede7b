"""Alembic's way in: the connection is given by `triaged.adapters.db.migrations`, or made from `-x url=…` by hand."""

import sqlalchemy
from alembic import context

from triaged.adapters.db.migrations import METADATA
from triaged.adapters.db.models import UtcDateTime


def plainly(kind: str, item: object, _context: object) -> str | bool:
    """A migration outlives the models: our time type is written down as the library's."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run(connection: sqlalchemy.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=METADATA,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        render_item=plainly,
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    url = context.get_x_argument(as_dictionary=True)["url"]
    with sqlalchemy.create_engine(url).begin() as opened:
        run(opened)
