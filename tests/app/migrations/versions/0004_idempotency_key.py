"""A key by which a client may send an order twice and have it once."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column."""
    op.add_column("orders", sa.Column("idempotency_key", sa.String(200), nullable=True))


def downgrade() -> None:
    """Drops the column."""
    op.drop_column("orders", "idempotency_key")
