"""What a stricter level says of the pods that are there already: they stay, and whoever sets the level is told."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from moorage.api.contracts import View
from moorage.resources.core.pods.declaration import POD
from moorage_tenants.podsecurity.evaluation import reasons, violations
from moorage_tenants.podsecurity.levels import Standard

MOST = 3000
"""Pods that are looked at."""
_TURN = 100
"""Pods looked at before others get the event loop."""


async def warnings_about_pods(view: View, namespace: str, standard: Standard) -> list[str]:
    """One line for each set of rules that pods break, with the first such pod and how many there are."""
    entries = await view.entries(POD, namespace)
    breaking: defaultdict[str, list[str]] = defaultdict(list)
    for index, entry in enumerate(entries[:MOST]):
        if index % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        pod = entry.document()
        if found := violations(standard, pod["metadata"], pod.get("spec") or {}):
            breaking[reasons(found)].append(entry.key.name)
    warnings = []
    if len(entries) > MOST:
        warnings.append(
            f"new PodSecurity enforce level only checked against the first {MOST} of {len(entries)} existing pods"
        )
    if breaking:
        warnings.append(
            f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{standard}"'
        )
    return warnings + sorted(f"{_pods(sorted(names))}: {words}" for words, names in breaking.items())


def _pods(names: list[str]) -> str:
    others = len(names) - 1
    if not others:
        return names[0]
    return f"{names[0]} (and {others} other pod{'s' if others > 1 else ''})"
