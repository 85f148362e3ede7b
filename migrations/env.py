"""Alembic's way in: the connection is given by `triaged.adapters.db.migrations`, or made from `-x url=…` by hand."""

import sqlalchemy
from alembic import context

from triaged.adapters.db.models import Base


def run(connection: sqlalchemy.Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
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
