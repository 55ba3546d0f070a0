"""Wheels of packages, which come with the code."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "wheels",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("computation_uuid", sa.String(length=36), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("size", BIG, nullable=False),
        sa.Column("announced_at", sa.BigInteger(), nullable=False),
        sa.Column("completed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["computation_uuid"], ["computations.uuid"], name=op.f("fk_wheels_computation_uuid")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wheels")),
        sa.UniqueConstraint("computation_uuid", "sha256", name=op.f("uq_wheels_computation_uuid_sha256")),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("wheels")
