"""Where an order stands; orders from before are pending."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the column; a constant default rewrites no row."""
    op.add_column(
        "orders", sa.Column("status", sa.String(20), server_default="pending", nullable=False)
    )
    # NOT VALID takes no long lock; the next statement checks old rows while others write.
    op.create_check_constraint(
        "orders_status_known",
        "orders",
        "status IN ('pending', 'paid', 'shipped', 'cancelled')",
        postgresql_not_valid=True,
    )
    op.execute("ALTER TABLE orders VALIDATE CONSTRAINT orders_status_known")


def downgrade() -> None:
    """Drops the column and its constraint."""
    op.drop_column("orders", "status")
