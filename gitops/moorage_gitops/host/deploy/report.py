"""What a successful push prints."""

from __future__ import annotations

from collections.abc import Sequence

from moorage_gitops.host.deploy.outcome import Counts, Effect
from moorage_gitops.host.deploy.plan import Plan

SHOWN = 60
"""Objects that are listed one by one; more are counted."""
_ORDER = ("created", "configured", "pruned")


def read(plan: Plan) -> str:
    """``20 objects read from 7 files of 1a2b3c4d5e``."""
    files = plan.reading.files
    text = f"{_count(len(plan.desired), 'object')} read from {_count(files, 'file')} of {plan.commit[:10]}"
    return text if plan.application.path == "" else f"{text}, folder {plan.application.path}"


def skipped(plan: Plan) -> list[str]:
    """Files that were left out, because they are no Kubernetes objects."""
    names = sorted(set(plan.reading.skipped))
    lines = [f"left out {name}: no apiVersion, kind or metadata, so no Kubernetes object" for name in names[:5]]
    return [*lines, f"left out {len(names) - 5} more such files"] if len(names) > 5 else lines


def secrets(plan: Plan) -> list[str]:
    """What the pusher may not know about values in manifests."""
    sealed = [item for item in plan.desired if item.kind.sealed and (item.document.keys() & {"data", "stringData"})]
    if not sealed:
        return []
    more = f" and {len(sealed) - 1} more" if len(sealed) > 1 else ""
    return [f"note: {sealed[0].subject}{more}: encrypted in the cluster, but readable in this repository's history"]


def table(found: Sequence[Effect], plan: Plan) -> list[str]:
    """Created, configured and pruned objects by name, then how many stayed as they were."""
    rows = [effect for action in _ORDER for effect in found if effect.action == action]
    lines = [f"  {effect.action:<11} {effect.subject}" for effect in rows[:SHOWN]]
    if len(rows) > SHOWN:
        lines.append(f"  ... and {len(rows) - SHOWN} more")
    unchanged = sum(effect.action == "unchanged" for effect in found)
    if unchanged:
        lines.append(f"  {'unchanged':<11} {_count(unchanged, 'object')}")
    for item in plan.pruning.keep[:SHOWN]:
        why = "annotated not to be pruned" if plan.application.prune else "the application does not prune"
        lines.append(
            f"  {'kept':<11} {item.kind.kind} {item.namespace + '/' if item.namespace else ''}{item.name} ({why})"
        )
    return lines


def summary(counts: Counts) -> str:
    """``3 created, 1 changed, 16 unchanged, 2 removed``."""
    return (
        f"{counts.created} created, {counts.configured} changed, {counts.unchanged} unchanged, {counts.pruned} removed"
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
