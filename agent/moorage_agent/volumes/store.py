"""Where a pod's volumes are on this host, and making, changing and removing them. Blocking: call it from a thread.

``DATA/pods/UID/volumes/NAME`` on disk; ``DATA/tmpfs/UID/NAME`` for what is secret (``memory``); ``DATA/pods/UID/subpaths``
for mounted subPaths; ``DATA/pods/UID/messages`` for termination messages. ``UID`` is the pod's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moorage_agent.engine.contract import Mount
from moorage_agent.pods import environment, fields
from moorage_agent.pods.confinement import Profiles
from moorage_agent.volumes import claims, empty, host, memory, mounts, nfs, payload, places, reading, sources
from moorage_agent.volumes.folders import Folders
from moorage_agent.volumes.removal import try_to_remove
from moorage_agent.volumes.sources import VolumeError

Pod = Mapping[str, Any]

MESSAGE_LIMIT = 4096
"""Bytes of a termination message that are kept (API reference, ``terminationMessagePath``)."""

_NAMES = {"etc-hosts": "/etc/hosts", "resolv.conf": "/etc/resolv.conf"}
"""Files of a pod that its containers get in place of the image's."""
_PROPAGATION = {"None": "", "HostToContainer": "rslave", "Bidirectional": "rshared"}


class VolumeStore:
    """The volumes of one node."""

    def __init__(self, data: Path) -> None:
        self._pods = data / "pods"
        self._memory = memory.place(data)
        self.folders = Folders(data)
        self.profiles = Profiles(data)

    def prepare(self, pod: Pod, found: sources.Materials, facts: fields.Facts) -> None:
        """Make every volume of the pod ready. Raises VolumeError, its text beginning with the volume's name."""
        self._folder(pod).mkdir(parents=True, exist_ok=True, mode=0o700)
        devices = sources.devices(pod)
        for volume in pod["spec"].get("volumes") or ():
            try:
                if volume["name"] in devices:
                    raise VolumeError("volumeDevices: block volumes are not supported by this node")
                self._prepare(pod, volume, found, facts)
            except (VolumeError, OSError, ValueError) as error:
                what = str(error) if not isinstance(error, OSError) else f"{error.filename}: {error.strerror}"
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {what}') from error

    def refresh(self, pod: Pod, found: sources.Materials, facts: fields.Facts) -> list[str]:
        """Bring volumes of files up to date with their objects; returns the names of those that changed.

        One whose object is gone keeps what it has, as with the kubelet.
        """
        changed = []
        for volume in pod["spec"].get("volumes") or ():
            if any(volume.get(kind) is not None for kind in sources.KINDS):
                try:
                    files = sources.files(pod, volume, found, facts)
                except VolumeError:
                    continue
                if payload.write(self.path(pod, volume), files, _group(pod)):
                    changed.append(volume["name"])
        return changed

    def path(self, pod: Pod, volume: Mapping[str, Any]) -> Path:
        """Where a volume is on this host."""
        if volume.get("hostPath"):
            return Path(volume["hostPath"]["path"])
        if sources.is_private(volume):
            return self._memory / str(pod["metadata"]["uid"]) / str(volume["name"])
        return self._folder(pod) / "volumes" / str(volume["name"])

    def mounts_of(self, pod: Pod, container: Mapping[str, Any], attempt: int, env: Mapping[str, str]) -> list[Mount]:
        """What a container mounts, its termination message file included. Raises VolumeError."""
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
        own = self._folder(pod) / "subpaths" / container["name"]
        places.forget(own, attempt)
        result = []
        for number, wanted in enumerate(container.get("volumeMounts") or ()):
            volume = volumes[wanted["name"]]
            path = self.path(pod, volume)
            below = environment.expand(wanted["subPathExpr"], env) if wanted.get("subPathExpr") else ""
            below = below or wanted.get("subPath") or ""
            if below:
                place = own / f"{attempt}-{number}"
                path = places.below(path, below, place, wanted.get("subPathExpr") or below)
            private = volume.get("image") is not None or any(volume.get(kind) is not None for kind in sources.KINDS)
            propagation = _PROPAGATION.get(wanted.get("mountPropagation") or "None", "")
            if propagation and volume.get("hostPath") is None and not private:
                mounts.share(path)
            read_only = bool(wanted.get("readOnly")) or private or claims.is_read_only(volume)
            recursively = wanted.get("recursiveReadOnly") or "Disabled"
            if read_only and recursively != "Disabled":
                place = own / f"{attempt}-{number}-locked"
                path = places.locked(path, place, recursively)
            result.append(
                Mount(
                    source=str(path),
                    target=wanted["mountPath"],
                    read_only=read_only,
                    propagation=propagation,
                )
            )
        taken = {mount.target for mount in result}
        for name, target in _NAMES.items():
            file = self._folder(pod) / name
            if target not in taken and file.exists():
                result.append(Mount(str(file), target))
        message = self.message_file(pod["metadata"]["uid"], container["name"], attempt)
        message.parent.mkdir(parents=True, exist_ok=True)
        message.touch()
        message.chmod(0o666)
        result.append(Mount(str(message), container.get("terminationMessagePath") or "/dev/termination-log"))
        return result

    def read_text(self, pod: Pod, name: str, path: str) -> str | None:
        """A file that containers left in an emptyDir, None where there is none. Raises VolumeError."""
        volume = next((one for one in pod["spec"].get("volumes") or () if one["name"] == name), None)
        if volume is None or volume.get("emptyDir") is None:
            raise VolumeError(f'volume "{name}" is no emptyDir volume of the pod')
        return reading.text_of(self.path(pod, volume), path)

    def write_names(self, pod: Pod, hosts: str, resolver: str) -> None:
        """Write the pod's ``/etc/hosts`` and ``resolv.conf``. Files that containers have mounted change in place."""
        folder = self._folder(pod)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in zip(_NAMES, (hosts, resolver), strict=True):
            file = folder / name
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                file.write_text(text, encoding="utf-8")
                file.chmod(0o644)

    def message_file(self, uid: str, container: str, attempt: int) -> Path:
        """Where a container writes its termination message."""
        return self._pods / uid / "messages" / container / str(attempt)

    def message(self, uid: str, container: str, attempt: int) -> str:
        """The termination message, of a long one the last 4096 bytes; "" where there is none."""
        try:
            descriptor = os.open(self.message_file(uid, container, attempt), os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            return ""
        with open(descriptor, "rb") as file:
            file.seek(max(0, os.fstat(descriptor).st_size - MESSAGE_LIMIT))
            return file.read(MESSAGE_LIMIT).decode("utf-8", "replace").replace("\0", "")

    def leave_message(self, uid: str, container: str, attempt: int, message: bytes) -> None:
        """Have ``message`` stand for the one that a container did not write."""
        file = self.message_file(uid, container, attempt)
        if file.parent.is_dir():
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o666)
            with open(descriptor, "wb") as out:
                out.write(message)

    def remove(self, uid: str, *, keep_messages: bool = False) -> None:
        """Remove a pod's volumes. Mounts are taken away first, so that nothing behind one is ever deleted."""
        for folder in (self._pods / uid, self._memory / uid):
            for point in mounts.mounted_below(folder):
                mounts.unmount(point)
            if mounts.mounted_below(folder):
                raise OSError(f"{folder}: still mounted; left as it is")
        try_to_remove(self._memory / uid)
        if keep_messages:
            for name in ("volumes", "subpaths"):
                try_to_remove(self._pods / uid / name)
        else:
            try_to_remove(self._pods / uid)

    def known(self) -> set[str]:
        """The uids of pods that have anything here."""
        return {entry.name for folder in (self._pods, self._memory) if folder.is_dir() for entry in folder.iterdir()}

    def _folder(self, pod: Pod) -> Path:
        return self._pods / str(pod["metadata"]["uid"])

    def _prepare(self, pod: Pod, volume: Mapping[str, Any], found: sources.Materials, facts: fields.Facts) -> None:
        path = self.path(pod, volume)
        if volume.get("emptyDir") is not None:
            empty.make(path, pod, volume["emptyDir"], _group(pod), facts.memory)
        elif volume.get("hostPath") is not None:
            host.make(path, volume["hostPath"].get("type") or "")
        elif any(volume.get(kind) is not None for kind in sources.KINDS):
            files = sources.files(pod, volume, found, facts)
            if sources.is_private(volume):
                memory.prepare(self._memory)
            payload.write(path, files, _group(pod))
        elif volume.get("image") is not None:
            if not mounts.mounted_below(path):
                mounts.layers(found.layers(volume["name"]), path)
        elif volume.get("nfs") is not None:
            export = volume["nfs"]
            nfs.mount(export["server"], export["path"], path, read_only=bool(export.get("readOnly")))
        elif volume.get("persistentVolumeClaim") is not None or volume.get("ephemeral") is not None:
            claims.mount(
                found.claim(volume["name"]),
                volume,
                path,
                _group(pod),
                _root_only(pod),
                folders=self.folders,
                node=str(pod["spec"].get("nodeName") or ""),
            )
        elif volume.get("gitRepo") is not None:
            raise VolumeError("gitRepo volumes are not supported: clone into an emptyDir in an init container instead")
        elif volume.get("csi") is not None:
            raise VolumeError(claims.no_driver(volume["csi"]))
        else:
            kinds = ", ".join(sorted(set(volume) - {"name"}))
            raise VolumeError(f"volumes of kind {kinds} are not supported by this node")


def _group(pod: Pod) -> int | None:
    group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
    return int(group) if group is not None else None


def _root_only(pod: Pod) -> bool:
    """Whether a volume whose root has the group already is taken as it is (KEP-695)."""
    policy = (pod["spec"].get("securityContext") or {}).get("fsGroupChangePolicy")
    return bool(policy == "OnRootMismatch")
