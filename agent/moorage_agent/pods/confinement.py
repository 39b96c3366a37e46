"""What keeps a container's processes in: seccomp, AppArmor, SELinux, the masked parts of /proc. As Docker's ``security-opt``.

Source: API reference, SecurityContext. Without a seccomp profile the engine's default one holds, as with a kubelet that has
``seccompDefault`` set: never less than Kubernetes would confine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from moorage_agent.engine.contract import EngineError

Pod = Mapping[str, Any]
Read = Callable[[str], str]
"""Gets ``localhostProfile``; the profile's text."""

_UNMASKED = "systempaths=unconfined"
_LABELS = ("user", "role", "type", "level")
_LARGEST = 2**20
CAP_SYS_RESOURCE = 1 << 24
APPARMOR = Path("/sys/module/apparmor/parameters/enabled")


def options(pod: Pod, container: Mapping[str, Any], read: Read) -> list[str]:
    """For one container, its own context over the pod's. Raises EngineError, and what ``read`` raises."""
    own = container.get("securityContext") or {}
    found = ["no-new-privileges"] if own.get("allowPrivilegeEscalation") is False else []
    seccomp = of(pod, container, "seccompProfile")
    if seccomp.get("type") == "Unconfined":
        found.append("seccomp=unconfined")
    elif seccomp.get("type") == "Localhost":
        found.append(f"seccomp={read(str(seccomp.get('localhostProfile') or ''))}")
    apparmor = of(pod, container, "appArmorProfile")
    if apparmor.get("type") == "Unconfined":
        found.append("apparmor=unconfined")
    elif apparmor.get("type") == "Localhost":
        name = str(apparmor.get("localhostProfile") or "")
        if name == "unconfined":  # the engine's word for none at all; a level of pod security may forbid that
            raise EngineError(f'cannot use AppArmor profile "{name}": no profile is called so')
        found.append(f"apparmor={name}")
    selinux = of(pod, container, "seLinuxOptions")
    found += [f"label={part}:{selinux[part]}" for part in _LABELS if selinux.get(part)]
    if own.get("procMount") == "Unmasked":
        found.append(_UNMASKED)
    return found


def of(pod: Pod, container: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A field of the container's ``securityContext``, or else of the pod's."""
    own = (container.get("securityContext") or {}).get(name)
    return own or (pod["spec"].get("securityContext") or {}).get(name) or {}


class Profiles:
    """The seccomp profiles of this node: files that administrators put into the folder ``seccomp`` of the agent's data."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "seccomp"

    def read(self, name: str) -> str:
        """A profile's text. Raises EngineError, as a runtime does that cannot load it."""
        path = (self._folder / name).resolve()
        if not path.is_relative_to(self._folder.resolve()):
            raise EngineError(f'cannot load seccomp profile "{name}": it is not in {self._folder}')
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(_LARGEST + 1)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is no text"
            raise EngineError(f'cannot load seccomp profile "{path}": {str(why).lower()}') from error
        if len(text) > _LARGEST:
            raise EngineError(f'cannot load seccomp profile "{path}": it is larger than 1 MiB')
        return text


def least_oom_score(process: Path = Path("/proc/self/status")) -> int:
    """How low an OOM score the engine may probably give: it runs with what this process has, or more (capabilities(7))."""
    try:
        fields = dict(line.split(":", 1) for line in process.read_text(encoding="ascii").splitlines() if ":" in line)
        return -1000 if int(fields["CapEff"], 16) & CAP_SYS_RESOURCE else 0
    except (OSError, KeyError, ValueError):
        return 0


def has_apparmor(file: Path = APPARMOR) -> bool:
    """Whether this machine's kernel enforces AppArmor."""
    try:
        return file.read_text(encoding="ascii").strip() == "Y"
    except OSError:
        return False
