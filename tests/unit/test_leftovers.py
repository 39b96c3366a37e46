"""Folders of tests that were killed: the next one removes them, and nobody else's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from tests.support.leftovers import OWNER, marked_folder


def test_folders_of_dead_makers_go_and_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    removed: list[str] = []

    def remove(folder: Path) -> None:
        removed.append(folder.name)

    for name, text in (("x-dead", "1 2"), ("x-broken", "?"), ("other", "1 2")):
        (tmp_path / name).mkdir()
        (tmp_path / name / OWNER).write_text(text)
    (tmp_path / "x-young").mkdir()
    with marked_folder("x-", remove) as ours, marked_folder("x-", remove) as another:
        assert removed == ["x-dead"]
        assert sorted(each.name for each in tmp_path.iterdir()) == sorted(
            ["other", "x-broken", "x-young", ours.name, another.name]
        )
    assert sorted(each.name for each in tmp_path.iterdir()) == ["other", "x-broken", "x-young"]
