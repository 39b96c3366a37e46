"""The store: tables, partitions of the change log, the commit function."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make everything. The SQL files beside this one are part of this migration and never change again."""
    # The driver's own cursor: without parameters it leaves the percent signs of format() alone.
    cursor = op.get_bind().connection.cursor()
    for name in ("store", "partitions", "commit"):
        cursor.execute(Path(__file__).with_name(f"v0001_{name}.sql").read_text("utf-8"))
