"""metrics.k8s.io/v1beta1: what nodes and pods use. Answered by the nodes when somebody asks, and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moorage.resources import names
from moorage.resources.kind import Column, Document, Kind, ResourceKey
from moorage.resources.printing import AGE, NAME, at

GROUP = "metrics.k8s.io"
VERSION = "v1beta1"
DEFINITIONS = "io.k8s.metrics.pkg.apis.metrics.v1beta1"


def _usage(resource: str) -> Callable[[Document, float], Any]:
    def cell(document: Document, _now: float) -> Any:
        return at(document, f"usage.{resource}", "")

    return cell


def _kind(kind: str, plural: str, *, namespaced: bool, columns: tuple[Column, ...]) -> Kind:
    return Kind(
        group=GROUP,
        version=VERSION,
        kind=kind,
        plural=plural,
        singular=kind.lower(),
        namespaced=namespaced,
        schema=f"{DEFINITIONS}.{kind}",
        storage=ResourceKey(GROUP, plural),
        name_rule=names.dns_subdomain,
        verbs=("get", "list"),
        columns=columns,
    )


NODE_METRICS = _kind(
    "NodeMetrics",
    "nodes",
    namespaced=False,
    columns=(
        NAME,
        Column("CPU", _usage("cpu"), description="Cores in use."),
        Column("Memory", _usage("memory"), description="Memory in use."),
        Column(
            "Window", lambda document, _now: document.get("window", ""), description="What the rates are taken over."
        ),
    ),
)
POD_METRICS = _kind("PodMetrics", "pods", namespaced=True, columns=(NAME, AGE))
