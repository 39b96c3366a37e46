"""What an agent mounted does not stand in the way of a deletion."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from moorage.supervisor.mounts import mounts_below, unmount_below


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_mounts_are_let_go_innermost_first(tmp_path: Path) -> None:
    outer, beside = tmp_path / "data" / "a b", tmp_path / "database"
    for path in (outer, beside):
        path.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(path)], check=True)
    inner = outer / "inner"
    inner.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(inner)], check=True)
    try:
        assert mounts_below(tmp_path / "data") == [inner, outer]
        unmount_below(tmp_path / "data")
        assert mounts_below(tmp_path / "data") == []
        assert mounts_below(tmp_path) == [beside]
    finally:
        unmount_below(tmp_path)
