"""What ``moorage status`` shows: the parts as the supervisor recorded them, and what the API itself says."""

from __future__ import annotations

import urllib.error
from pathlib import Path
from typing import Any

from moorage.supervisor.addresses import Listen
from moorage.supervisor.health import ApiProbe
from moorage.supervisor.layout import Layout
from moorage.supervisor.process_table import family
from moorage.supervisor.record import PartRecord, Record, read

TIMEOUT = 5.0


def look(layout: Layout) -> dict[str, Any]:
    """The state of the installation; ``ready`` where all of it does its work."""
    record = read(layout.record)
    found: dict[str, Any] = {
        "dataDir": str(layout.root),
        "ready": False,
        "supervisor": "none",
        "server": "",
        "api": "down",
        "kubeconfig": str(layout.kubeconfig),
        "parts": [],
        "nodes": [],
    }
    if record is None:
        return found
    found["parts"] = [_part(part) for part in record.parts]
    found["server"] = Listen.parse(record.listen).local_url
    if record.supervisor.alive:
        found["supervisor"] = f"process {record.supervisor.pid}, version {record.version}"
    _ask(layout, record, found)
    ready = all(part["state"] == "ready" for part in found["parts"])
    found["ready"] = ready and record.supervisor.alive and found["api"] == "ready"
    return found


def _ask(layout: Layout, record: Record, found: dict[str, Any]) -> None:
    try:
        token = (layout.tokens / "admin").read_text("ascii").strip()
        probe = ApiProbe(Listen.parse(record.listen).local_url, layout.ca_certificate, token)
        probe.get("/readyz", TIMEOUT)
        found["api"] = "ready"
        found["nodes"] = [_node(node) for node in probe.get("/api/v1/nodes", TIMEOUT)["items"]]
    except urllib.error.HTTPError as error:
        found["api"] = f"not ready: HTTP {error.code}"
    except (OSError, KeyError, TypeError) as error:
        found["api"] = f"down: {error}"


def _part(part: PartRecord) -> dict[str, Any]:
    alive = part.process.alive
    return {
        "name": part.name,
        "state": part.state if alive or part.state in {"restarting", "stopped"} else "dead",
        "pid": part.pid if alive else 0,
        "restarts": part.restarts,
        "since": part.since,
        "memoryMB": sum(map(resident_kb, family(part.pid))) // 1024 if alive else 0,
    }


def _node(node: dict[str, Any]) -> dict[str, Any]:
    conditions = node.get("status", {}).get("conditions") or []
    ready = any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)
    return {"name": node["metadata"]["name"], "ready": ready}


def resident_kb(pid: int) -> int:
    """Proportional set size of a process in kB (a shared page counts once among those that share it); 0 where unknown."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
