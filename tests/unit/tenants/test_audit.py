from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from moorage.api.contracts import Attributes, Decision
from moorage_tenants import names
from moorage_tenants.audit import FileAuditor


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def record(auditor: FileAuditor, verb: str, resource: str, *, allowed: bool = True) -> None:
    document = {"data": {"password": "canary"}}
    attributes = Attributes(names.team("a"), verb, resource=resource, namespace="a", name="x", document=document)
    auditor.record(attributes, Decision(allowed), {"code": 200 if allowed else 403, "document": document})


def test_writes_refusals_and_reads_of_secrets_are_kept_without_contents(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    auditor = FileAuditor(path)
    record(auditor, "create", "pods")
    record(auditor, "list", "pods")
    record(auditor, "get", "secrets")
    record(auditor, "get", "pods", allowed=False)
    auditor.close()
    kept = [(line["verb"], line["resource"], line["allowed"], line["code"]) for line in lines(path)]
    assert kept == [("create", "pods", True, 200), ("get", "secrets", True, 200), ("get", "pods", False, 403)]
    assert {line["user"] for line in lines(path)} == {"team:a"}
    assert "canary" not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_files_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    for _ in range(12):
        auditor = FileAuditor(path, file_bytes=500)
        for _ in range(5):
            record(auditor, "create", "pods")
        auditor.close()
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["audit.log", "audit.log.1", "audit.log.2", "audit.log.3"]


def test_lines_that_found_no_room_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moorage_tenants.audit.QUEUED", 0)
    path = tmp_path / "audit.log"
    auditor = FileAuditor(path)
    for _ in range(3):
        record(auditor, "create", "pods")
    monkeypatch.setattr("moorage_tenants.audit.QUEUED", 10)
    record(auditor, "delete", "pods")
    auditor.close()
    first, second = lines(path)
    assert first["missing"] == 3
    assert second["verb"] == "delete"


def test_a_disk_that_refuses_stops_nobody(tmp_path: Path) -> None:
    auditor = FileAuditor(tmp_path / "no" / "such" / "folder")
    record(auditor, "create", "pods")
    auditor.close()
    record(auditor, "create", "pods")
