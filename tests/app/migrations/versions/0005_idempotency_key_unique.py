"""No key twice. Alone in its revision: a concurrent build cannot share a transaction."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Builds the index beside writers."""
    with op.get_context().autocommit_block():
        # What an interrupted build leaves is invalid and stays so.
        op.execute("DROP INDEX CONCURRENTLY IF EXISTS orders_idempotency_key")
        op.create_index(
            "orders_idempotency_key",
            "orders",
            ["idempotency_key"],
            unique=True,
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    """Drops the index."""
    with op.get_context().autocommit_block():
        op.drop_index("orders_idempotency_key", "orders", postgresql_concurrently=True)
