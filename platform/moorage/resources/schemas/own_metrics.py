"""Definitions of ``metrics.k8s.io/v1beta1``, which the published set does not have."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources.schemas.shapes import (
    META,
    Schema,
    array,
    kind,
    kind_list,
    quantities,
    reference,
    structure,
    text,
)

_GROUP = "metrics.k8s.io"
_M = "io.k8s.metrics.pkg.apis.metrics.v1beta1"
_TIMES: dict[str, Schema] = {
    "timestamp": reference(f"{META}.Time", "The end of the time that the usage was measured over."),
    "window": text("How long that time was, as a duration."),
}
_USAGE = quantities("What was used: memory, and cores of CPU on average over the time.")

METRICS_DEFINITIONS: Mapping[str, Schema] = {
    f"{_M}.ContainerMetrics": structure("What a container uses.", {"name": text("Its name."), "usage": _USAGE}),
    f"{_M}.NodeMetrics": kind(
        _GROUP, "NodeMetrics", "What a node uses.", {**_TIMES, "usage": _USAGE}, version="v1beta1"
    ),
    f"{_M}.PodMetrics": kind(
        _GROUP,
        "PodMetrics",
        "What a pod uses.",
        {**_TIMES, "containers": array(f"{_M}.ContainerMetrics", "What each container uses.")},
        version="v1beta1",
    ),
    f"{_M}.NodeMetricsList": kind_list(_GROUP, "NodeMetrics", f"{_M}.NodeMetrics", version="v1beta1"),
    f"{_M}.PodMetricsList": kind_list(_GROUP, "PodMetrics", f"{_M}.PodMetrics", version="v1beta1"),
}
"""By name, with descriptions."""
