"""``moorage down``: end an installation, whatever is left of it."""

from __future__ import annotations

import errno
import shutil
import signal
from pathlib import Path

from moorage.supervisor.database import Database
from moorage.supervisor.layout import Layout, SetupError
from moorage.supervisor.mounts import unmount_below
from moorage.supervisor.postgres import Postgres
from moorage.supervisor.postgres_place import PostgresError
from moorage.supervisor.process_table import wait_gone
from moorage.supervisor.record import read
from moorage.supervisor.supervise import end_remains, locked

PATIENCE = 90.0


def down(layout: Layout) -> bool:
    """End supervisor and parts; whether anything ran. Raises SetupError where something does not end."""
    record = read(layout.record)
    if record is None:
        return False
    ran = record.supervisor.alive or any(part.process.alive for part in record.parts)
    if record.supervisor.alive:
        record.supervisor.signal(signal.SIGTERM, group=False)
        if wait_gone([record.supervisor], PATIENCE):
            raise SetupError(
                f"the supervisor (process {record.supervisor.pid}) did not end within {PATIENCE:.0f} s; see {layout.log}"
            )
    with locked(layout):
        end_remains(layout)
        if any(part.name == Database.name for part in record.parts):
            Postgres(layout.root).clear_remains()
        layout.record.unlink(missing_ok=True)
    return ran


def _remove(root: Path) -> None:
    """Remove a folder with what is mounted below it. A container that is just ending may hold a mount for a moment longer."""
    for last in (False, False, True):
        unmount_below(root)
        try:
            shutil.rmtree(root)
        except OSError as error:
            if last or error.errno != errno.EBUSY:
                raise
        else:
            return


def delete(layout: Layout) -> None:
    """Delete an ended installation, also what PostgreSQL keeps elsewhere. Raises SetupError."""
    try:
        if (layout.root / "postgres").exists():
            Postgres(layout.root).remove()
        _remove(layout.root)
    except (PostgresError, OSError) as error:
        raise SetupError(f"{layout.root} was not deleted whole: {error}") from None
