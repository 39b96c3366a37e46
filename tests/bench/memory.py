"""Memory of an installation's processes, as proportional set size: shared pages are counted once over all."""

from __future__ import annotations

from pathlib import Path


def by_part(data_dir: Path) -> dict[str, float]:
    """Megabytes by part (``server``, ``postgres``, ``agent``...) of the installation in ``data_dir``."""
    parents, lines = _processes()
    roots = {pid for pid, line in lines.items() if str(data_dir) in line}
    totals: dict[str, float] = {}
    for pid in parents:
        if roots & set(_ancestry(pid, parents)):
            part = _part(lines[pid])
            totals[part] = totals.get(part, 0.0) + _pss(pid)
    return totals


def pids(data_dir: Path, part: str) -> list[int]:
    """The processes of one part, parents before their children."""
    parents, lines = _processes()
    roots = {pid for pid, line in lines.items() if str(data_dir) in line}
    return sorted(pid for pid in parents if _part(lines[pid]) == part and roots & set(_ancestry(pid, parents)))


def resident(pid: int) -> float:
    """Megabytes of one process in memory, shared pages counted in full."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


def _processes() -> tuple[dict[int, int], dict[int, str]]:
    parents: dict[int, int] = {}
    lines: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            stat = (folder / "stat").read_text()
        except OSError:
            continue  # it ended meanwhile
        parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
        lines[int(folder.name)] = line
    return parents, lines


def _ancestry(pid: int, parents: dict[int, int]) -> list[int]:
    line = []
    while pid in parents and pid not in line:
        line.append(pid)
        pid = parents[pid]
    return line


def _part(line: str) -> str:
    if "postgres" in line.split(" ", 1)[0] or line.startswith("postgres"):
        return "postgres"
    for part in ("server", "controllers", "agent"):
        if f" {part} " in line + " ":
            return part
    return "supervisor"


def _pss(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        return 0.0
    return 0.0
