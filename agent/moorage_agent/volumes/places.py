"""Places for what a container mounts that is not a volume as it is: a part of one, or one that is read-only with all in it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from moorage_agent.volumes import mounts
from moorage_agent.volumes.sources import VolumeError


def below(volume: Path, path: str, place: Path, shown: str) -> Path:
    """Mount ``path`` of ``volume`` at ``place``: what was opened inside the volume is what gets mounted, so that nobody who
    can change the volume can make the mount show anything else of the host (CVE-2021-25741). What is missing is made, as open
    to others as the volume is. Messages name it as ``shown``.
    """
    if path.startswith("/") or ".." in Path(path).parts:
        raise VolumeError(f'subPath "{shown}" must be relative and must not contain ".."')
    root = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        opened = mounts.make_beneath(root, path, os.fstat(root).st_mode & 0o7777)
        try:
            mounts.unmount(place)
            mounts.bind(opened, place)
        finally:
            os.close(opened)
    except OSError as error:
        raise VolumeError(f'failed to prepare subPath for volumeMount "{shown}": {error.strerror}') from error
    finally:
        os.close(root)
    return place


def locked(source: Path, place: Path, wanted: str) -> Path:
    """Where ``source`` is read-only with every mount in it (``recursiveReadOnly``, KEP-3857). ``wanted`` is ``Enabled`` or
    ``IfPossible``; where the kernel cannot, the latter gets ``source``. Raises VolumeError, OSError.
    """
    if not mounts.can_lock():
        if wanted == "Enabled":
            raise VolumeError("recursiveReadOnly: Enabled needs root and Linux 5.12")
        return source
    opened = os.open(source, os.O_PATH | os.O_CLOEXEC)
    try:
        mounts.unmount(place)
        mounts.bind(opened, place, recursive=True)
        mounts.lock(place)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise VolumeError(f"recursiveReadOnly: {source} is being changed") from error
        raise
    finally:
        os.close(opened)
    return place


def forget(folder: Path, attempt: int) -> None:
    """Take away the places ``ATTEMPT-...`` in ``folder`` of attempts before ``attempt``: a container that is restarted again and
    again leaves none behind. What has been given to a container stays with it as long as it is. Raises OSError.
    """
    if not folder.is_dir():
        return
    for place in folder.iterdir():
        number = place.name.partition("-")[0]
        if number.isdecimal() and int(number) < attempt:
            mounts.unmount(place)
            if place.is_dir():
                place.rmdir()
            else:
                place.unlink()
