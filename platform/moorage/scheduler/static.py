"""Verdicts that do not depend on what runs on a node, kept for each sort of pod and brought up to date row by row."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moorage.resources.node_selector import any_matches
from moorage.scheduler.nodetable import NodeTable, Row
from moorage.scheduler.podinfo import Profile
from moorage.scheduler.selection import (
    UNSCHEDULABLE,
    preference,
    selected,
    tolerated,
    untolerated,
    unwelcome,
)

KEPT = 512

NOT_AFFINE = "node(s) didn't match Pod's node affinity/selector"
CLOSED = "node(s) were unschedulable"


@dataclass(slots=True)
class Verdicts:
    """One entry for each row: whether the pod may run there, why not, and how welcome it is."""

    profile: Profile
    read: int
    fits: NDArray[np.bool_]
    preferred: NDArray[np.int64]
    unwelcome: NDArray[np.int64]
    reasons: list[str] = field(default_factory=list)


class StaticVerdicts:
    """Verdicts by sort of pod (``Profile.static``)."""

    def __init__(self, table: NodeTable) -> None:
        self._table = table
        self._kept: OrderedDict[bytes, Verdicts] = OrderedDict()

    def of(self, profile: Profile) -> Verdicts:
        """The verdicts about pods of this sort, as of now."""
        verdicts = self._kept.get(profile.static)
        rows = len(self._table.rows)
        if verdicts is None:
            verdicts = Verdicts(
                profile, len(self._table.changed), np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, np.int64)
            )
            self._kept[profile.static] = verdicts
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            changed = list(range(rows))
        else:
            self._kept.move_to_end(profile.static)
            changed = self._table.changed[verdicts.read :]
            verdicts.read = len(self._table.changed)
        if len(verdicts.reasons) < rows:
            self._extend(verdicts, rows)
        for index in changed:
            self._judge(verdicts, index)
        return verdicts

    def _extend(self, verdicts: Verdicts, rows: int) -> None:
        more = rows - len(verdicts.reasons)
        verdicts.fits = np.concatenate([verdicts.fits, np.zeros(more, bool)])
        verdicts.preferred = np.concatenate([verdicts.preferred, np.zeros(more, np.int64)])
        verdicts.unwelcome = np.concatenate([verdicts.unwelcome, np.zeros(more, np.int64)])
        verdicts.reasons += [""] * more

    def _judge(self, verdicts: Verdicts, index: int) -> None:
        row, profile = self._table.rows[index], verdicts.profile
        reason = why_not(profile, row)
        verdicts.reasons[index] = reason
        verdicts.fits[index] = row.present and not reason
        verdicts.preferred[index] = preference(row.name, row.labels, profile.preferred_terms)
        verdicts.unwelcome[index] = unwelcome(row.taints, profile.tolerations)


def why_not(profile: Profile, row: Row) -> str:
    """The first reason of the node's own for which the pod may not run there, in Kubernetes' words; "" for none."""
    if row.unschedulable and not tolerated({"key": UNSCHEDULABLE, "effect": "NoSchedule"}, profile.tolerations):
        return CLOSED
    taint = untolerated(row.taints, profile.tolerations)
    if taint is not None:
        return f"node(s) had untolerated taint {{{taint.get('key')}: {taint.get('value') or ''}}}"
    if not selected(row.labels, profile.node_selector):
        return NOT_AFFINE
    if profile.required_terms is not None and not any_matches(row.name, row.labels, profile.required_terms):
        return NOT_AFFINE
    return ""
