"""Who may use images that were fetched with credentials."""

from __future__ import annotations

from pathlib import Path

from moorage_agent.engine.contract import Credentials
from moorage_agent.images.access import Access

MINE, OTHER = Credentials("shop", "treasure"), Credentials("else", "word")


def test_what_was_fetched_with_credentials_is_for_those_who_have_them(tmp_path: Path) -> None:
    file = tmp_path / "access.json"
    access = Access(file)
    assert access.may("sha256:1", [])
    access.fetched("sha256:1", None)
    assert not file.exists()
    access.fetched("sha256:1", MINE)
    again = Access(file)
    assert again.may("sha256:1", [OTHER, MINE])
    assert not again.may("sha256:1", [])
    assert not again.may("sha256:1", [OTHER])
    assert again.may("sha256:2", [])
    assert "treasure" not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_anybody_can_fetch_is_for_all(tmp_path: Path) -> None:
    access = Access(tmp_path / "access.json")
    access.fetched("sha256:1", MINE)
    access.fetched("sha256:1", OTHER)
    assert access.may("sha256:1", [OTHER])
    access.fetched("sha256:1", None)
    assert Access(tmp_path / "access.json").may("sha256:1", [])


def test_a_broken_record_stops_no_pod(tmp_path: Path) -> None:
    (tmp_path / "access.json").write_text("[1")
    assert Access(tmp_path / "access.json").may("sha256:1", [])
