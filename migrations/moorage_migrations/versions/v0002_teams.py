"""Teams: quotas in the commit, the audit, versions of secrets, tokens with scopes, signing keys. Expands only."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables and columns, then functions. The SQL files beside this one never change again once they are released."""
    cursor = op.get_bind().connection.cursor()
    for name in ("teams", "quotas", "audit", "commit", "former"):
        cursor.execute(Path(__file__).with_name(f"v0002_{name}.sql").read_text("utf-8"))
