"""Quantities of resources, and the cgroup limits that they mean.

Source: API reference, Quantity; the kubelet's ``MilliCPUToShares`` and ``MilliCPUToQuota``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from moorage_agent.engine.contract import Limits

_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:([eE][+-]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {name: 2 ** (10 * power) for power, name in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}

LEAST_SHARES, MOST_SHARES = 2, 262_144
LEAST_QUOTA = 1_000
GUARANTEED = -997
CRITICAL = 2_000_001_000
"""The priority of the class ``system-node-critical``."""
PERIOD = 100_000


def amount(text: str) -> float:
    """A quantity as a number of its base unit (cores, bytes). Raises ValueError."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"unable to parse quantity {text!r}")
    number = Decimal(match[1])
    if match[2]:
        return float(number * Decimal(10) ** int(match[2][1:]))
    suffix = match[3] or ""
    factor = Decimal(_BINARY[suffix]) if suffix in _BINARY else Decimal(10) ** _DECIMAL[suffix]
    return float(number * factor)


def resources(pod: Mapping[str, Any], container: Mapping[str, Any]) -> Mapping[str, Any]:
    """What bounds a container: its own resources, and the pod's (KEP-2837) where it has none. There is no control group around
    all containers of a pod, so each of those without a limit has the pod's whole one.
    """
    whole, own = pod["spec"].get("resources") or {}, container.get("resources") or {}
    if not whole:
        return own
    others = max(1, len(pod["spec"]["containers"]))
    cpu = (whole.get("requests") or {}).get("cpu")
    share = {"cpu": f"{int(amount(str(cpu)) * 1000 / others)}m"} if cpu is not None else {}
    return {
        "limits": {**(whole.get("limits") or {}), **(own.get("limits") or {})},
        "requests": {**share, **(own.get("requests") or {})},
    }


def limits(resources: Mapping[str, Any] | None, most_processes: int) -> Limits:
    """cgroup limits of a container's ``resources``; a request not given is the limit, and no request is the least share."""
    wanted = (resources or {}).get("requests") or {}
    most = (resources or {}).get("limits") or {}
    request = amount(str(wanted.get("cpu", most.get("cpu", 0))))
    cpu = amount(str(most.get("cpu", 0)))
    shares = int(request * 1024)
    return Limits(
        cpu_shares=min(max(shares, LEAST_SHARES), MOST_SHARES),
        cpu_quota=max(int(cpu * PERIOD), LEAST_QUOTA) if cpu else 0,
        memory=int(amount(str(most.get("memory", 0)))),
        pids=most_processes,
    )


def oom_score(pod: Mapping[str, Any], container: Mapping[str, Any], node_memory: int, least: int = 0) -> int:
    """How early the kernel ends it when memory is short, by quality of service (the kubelet's ``GetContainerOOMScoreAdjust``).

    ``least`` is the lowest score that the engine may give: below 0 needs CAP_SYS_RESOURCE, without which no Guaranteed pod
    would start at all. The order among pods is the kubelet's in any case.
    """
    quality = (pod.get("status") or {}).get("qosClass")
    if quality == "Guaranteed" or (pod["spec"].get("priority") or 0) >= CRITICAL:
        return max(GUARANTEED, least)
    if quality == "BestEffort" or not node_memory:
        return 1000
    request = amount(str(((container.get("resources") or {}).get("requests") or {}).get("memory", 0)))
    return max(3, min(999, int(1000 - 1000 * request / node_memory)))
