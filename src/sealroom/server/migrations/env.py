"""Run migrations on the connection that the store hands over; there is no other way in."""

from alembic import context
from sqlalchemy import Connection

from sealroom.server.schema import Base


def run(connection: Connection) -> None:
    """Upgrade inside the caller's transaction."""
    context.configure(connection=connection, target_metadata=Base.metadata)
    context.run_migrations()


run(context.config.attributes["connection"])
