"""Persistent volumes on this node are mounted at the pod's place for the volume: ``local``, ``hostPath`` and ``nfs`` ones, and
folders of the node (``folders``).

Source: API reference, PersistentVolume; the kubelet's local volume plugin.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moorage.resources.storage import LOCAL_DRIVER
from moorage_agent.volumes import mounts, nfs
from moorage_agent.volumes.folders import Folders
from moorage_agent.volumes.sources import VolumeError

OF_FOLDERS, OF_FILES = 0o2770, 0o660
"""Permissions that the group of a volume gets (the kubelet's ``volume_linux.go``)."""


def is_read_only(volume: Mapping[str, Any]) -> bool:
    """Whether the pod asks for its volume for reading only."""
    return any(bool((volume.get(kind) or {}).get("readOnly")) for kind in ("persistentVolumeClaim", "nfs"))


def mount(
    persistent: Mapping[str, Any] | None,
    volume: Mapping[str, Any],
    place: Path,
    group: int | None,
    root_only: bool,
    *,
    folders: Folders,
    node: str,
) -> None:
    """Mount what a claim is bound to, on the node ``node``. Raises VolumeError, OSError."""
    if persistent is None:
        raise VolumeError("its claim is not bound")
    if mounts.mounted_below(place):
        return
    spec = persistent["spec"]
    if spec.get("volumeMode") == "Block":
        raise VolumeError("a volume with volumeMode Block cannot be mounted as a file system")
    if (spec.get("csi") or {}).get("driver") == LOCAL_DRIVER:
        spec = {"local": {"path": str(folders.make(persistent, node))}}
    mount_source({**spec, "name": volume["name"]}, place, read_only=is_read_only(volume))
    # Neither what is the host's nor what is a server's is given away (the kubelet's "Managed").
    if group is not None and not spec.get("hostPath") and not spec.get("nfs") and not is_read_only(volume):
        give(place, group, root_only=root_only)


def mount_source(source: Mapping[str, Any], place: Path, *, read_only: bool) -> None:
    """Mount a volume by its source. Raises VolumeError for a kind that this node does not have, OSError."""
    if mounts.mounted_below(place):
        return
    if source.get("nfs"):
        export, options = source["nfs"], source.get("mountOptions") or ()
        nfs.mount(export["server"], export["path"], place, read_only=read_only, options=options)
        return
    if source.get("csi"):
        raise VolumeError(no_driver(source["csi"]))
    folder = (source.get("local") or source.get("hostPath") or {}).get("path")
    if not folder:
        kinds = sorted(kind for kind in source if isinstance(source[kind], Mapping) and kind not in _NO_SOURCES)
        raise VolumeError(f"persistent volumes of kind {', '.join(kinds)} are not supported by this node")
    if source.get("local") and os.path.exists(folder) and not os.path.isdir(folder):
        raise VolumeError(f'path "{folder}" is not a directory: this node formats and mounts no devices')
    if source.get("local") and not os.path.isdir(folder):
        raise VolumeError(f'path "{folder}" does not exist')
    if (source.get("hostPath") or {}).get("type") in ("", None, "DirectoryOrCreate"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    try:
        mounts.bind(opened, place)
    finally:
        os.close(opened)


def no_driver(source: Mapping[str, Any]) -> str:
    """What is wrong with a volume of a CSI driver, in the kubelet's words: no driver runs beside this agent."""
    name = source.get("driver")
    return f"driver name {name} not found in the list of registered CSI drivers"


_NO_SOURCES = ("capacity", "claimRef", "nodeAffinity")


def give(folder: Path, group: int, *, root_only: bool) -> None:
    """Let ``group`` read and write everything in a volume (``fsGroup``). ``root_only``: not where its root has it already."""
    root = folder.lstat()
    if root_only and root.st_gid == group and root.st_mode & OF_FOLDERS == OF_FOLDERS:
        return
    try:
        for _, folders, names, descriptor in os.fwalk(folder):  # by descriptors: a renamed folder leads nowhere else
            for name in (*folders, *names):
                _give(name, group, descriptor)
    except RecursionError:  # fwalk calls itself for each level
        raise OSError(errno.ELOOP, "folders are nested too deep to be given to a group", str(folder)) from None
    _give(str(folder), group, None)


def _give(name: str, group: int, within: int | None) -> None:
    """Links are not followed: they may lead out of the volume."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    try:
        found = os.fstat(descriptor)
        here = f"/proc/self/fd/{descriptor}"
        if stat.S_ISLNK(found.st_mode):
            return
        os.chown(here, -1, group)
        if stat.S_ISDIR(found.st_mode):
            os.chmod(here, found.st_mode & 0o7777 | OF_FOLDERS)
        elif stat.S_ISREG(found.st_mode):
            os.chmod(here, found.st_mode & 0o7777 | OF_FILES)
    finally:
        os.close(descriptor)
