"""emptyDir volumes: a folder on disk, a memory file system of the size that the pod may use, or huge pages.

Source: the kubelet's ``pkg/volume/emptydir``; KEP-1967 (sizes of memory volumes).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from moorage_agent.pods.quantities import amount
from moorage_agent.volumes import mounts
from moorage_agent.volumes.sources import VolumeError

Pod = Mapping[str, Any]

HUGE_PAGES = "hugepages-"
_HUGE = "HugePages"


def make(path: Path, pod: Pod, spec: Mapping[str, Any], group: int | None, memory: int) -> None:
    """Make the volume at ``path``; ``memory``: what the node has for pods, in bytes. Raises VolumeError, OSError."""
    medium = str(spec.get("medium") or "")
    if medium == "Memory":
        mounts.tmpfs(path, size=memory_size(pod, spec, memory), mode=0o777)
    elif medium == _HUGE or medium.startswith(f"{_HUGE}-"):
        mounts.huge_pages(path, page_size(pod, medium))
    elif medium:
        raise VolumeError(f'unknown storage medium "{medium}"')
    elif not path.is_dir():
        path.mkdir(parents=True)
    if group is not None:
        os.chown(path, -1, group)
    path.chmod(0o2777 if group is not None else 0o777)


def memory_size(pod: Pod, spec: Mapping[str, Any], memory: int) -> int:
    """The smallest of what the volume may hold, what the pod's containers may use, and what the node has (0: not known)."""
    limits = sum(amount(str(one["memory"])) for one in _of_containers(pod, "limits") if one.get("memory"))
    sizes = (memory, int(limits), int(amount(str(spec.get("sizeLimit") or 0))))
    return min((size for size in sizes if size > 0), default=0)


def page_size(pod: Pod, medium: str) -> int:
    """The size in bytes of the pages of a volume of huge pages. Raises VolumeError."""
    asked = {
        name.removeprefix(HUGE_PAGES)
        for kind in ("requests", "limits")
        for one in _of_containers(pod, kind)
        for name in one
        if name.startswith(HUGE_PAGES)
    }
    _, _, wanted = medium.partition("-")
    if wanted and wanted not in asked:
        raise VolumeError(f"medium {medium}: no container of the pod asks for {HUGE_PAGES}{wanted}")
    if not wanted and len(asked) != 1:
        found = ", ".join(f"{HUGE_PAGES}{one}" for one in sorted(asked)) or "none"
        raise VolumeError(f"medium {medium}: the containers must ask for huge pages of one size, and ask for {found}")
    return int(amount(wanted or asked.pop()))


def _of_containers(pod: Pod, kind: str) -> Iterator[Mapping[str, Any]]:
    for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]):
        yield (container.get("resources") or {}).get(kind) or {}
