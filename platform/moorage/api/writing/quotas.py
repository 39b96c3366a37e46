"""A write that does not fit into quotas, in Kubernetes' words: every quota and every resource that it exceeds.

Source: apiserver's ``resourcequota`` admission plugin. A tenant's quota, which Kubernetes does not have, is worded alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from operator import attrgetter

from moorage.resources.quota_amounts import listed, shown
from moorage.store.contracts import Exceeded


def sentence(exceeded: Sequence[Exceeded]) -> str:
    """``exceeded quota: NAME, requested: pods=1, used: pods=2, limited: pods=2``, one such part for each quota."""
    by_scope = sorted(exceeded, key=attrgetter("scope", "resource"))
    return "; ".join(_part(scope, list(rows)) for scope, rows in groupby(by_scope, key=attrgetter("scope")))


def _part(scope: str, rows: Sequence[Exceeded]) -> str:
    kind, _, name = scope.partition("/")
    title = f'exceeded quota of tenant "{name}":' if kind == "tenant" else f"exceeded quota: {name.rpartition('/')[2]},"
    asked, used, hard = (_texts(rows, which) for which in ("asked", "used", "hard"))
    return f"{title} requested: {listed(asked)}, used: {listed(used)}, limited: {listed(hard)}"


def _texts(rows: Sequence[Exceeded], which: str) -> Mapping[str, str]:
    return {row.resource: shown(row.resource, getattr(row, which)) for row in rows}
