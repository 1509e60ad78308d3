"""A note to an order. Optional, so that the release before goes on writing without it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column; without a default no row is touched."""
    op.add_column("orders", sa.Column("note", sa.String(500), nullable=True))


def downgrade() -> None:
    """Drops the column, and the notes with it."""
    op.drop_column("orders", "note")
