"""Refunds; the second statement names a column that is not there."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes a table, then fails: PostgreSQL takes the table back."""
    op.create_table(
        "refunds",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("order_id", sa.Uuid(), sa.ForeignKey("orders.id"), nullable=False),
    )
    op.create_index("refunds_reason", "refunds", ["reason"])


def downgrade() -> None:
    """Drops the table."""
    op.drop_table("refunds")
