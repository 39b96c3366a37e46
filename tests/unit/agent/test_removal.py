"""Removing folders that pods have left."""

from __future__ import annotations

import os
from pathlib import Path

from moorage_agent.volumes.removal import remove_tree

DEEP = 3000
"""More than Python calls itself."""


def test_a_folder_is_removed_however_deep_it_is(tmp_path: Path) -> None:
    top = tmp_path / "left"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for number in range(DEEP):
        os.mkdir("a", dir_fd=here)
        below = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
        if number % 100 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)
    remove_tree(top)
    assert list(tmp_path.iterdir()) == []


def test_links_are_removed_and_not_followed(tmp_path: Path) -> None:
    kept, top = tmp_path / "kept", tmp_path / "left"
    kept.mkdir()
    (kept / "file").write_text("here")
    (top / "a" / "b").mkdir(parents=True)
    (top / "a" / "b" / "file").write_text("gone")
    for place in (top, top / "a"):
        (place / "link").symlink_to(kept)
    remove_tree(top)
    remove_tree(top)
    assert (kept / "file").read_text() == "here"
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept"]
