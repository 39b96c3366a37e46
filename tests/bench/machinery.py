"""Microseconds of each piece of API machinery on one pod: ``python -m tests.bench.machinery``. Prints, asserts nothing."""

from __future__ import annotations

import copy
import timeit
from collections.abc import Callable
from typing import Any

import orjson

from moorage.api import apply, decode, discovery, encode, negotiate, openapi, patch, selectors, tables
from moorage.resources.builtin import builtin_registry
from moorage.resources.kind import Document, GroupVersionKind

NOW = "2026-01-01T00:00:00Z"
KUBECTL_GET = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)


def pod() -> Document:
    """A pod of ordinary size, as a client sends it."""
    container = {
        "name": "web",
        "image": "nginx:1.27",
        "ports": [{"containerPort": 80}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    spec = {"containers": [container], "volumes": [{"name": "data", "emptyDir": {}}]}
    metadata = {"name": "web", "namespace": "demo", "labels": {"app": "web", "tier": "front"}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def measure(work: Callable[[], Any], seconds: float = 0.2) -> float:
    """Microseconds per call: the best of five runs of about ``seconds`` together."""
    once = max(timeit.timeit(work, number=3) / 3, 1e-7)
    number = max(1, int(seconds / 5 / once))
    return min(timeit.repeat(work, number=number, repeat=5)) / number * 1e6


def pieces() -> dict[str, Callable[[], Any]]:
    """What is measured, by what it is called."""
    registry = builtin_registry()
    kind = registry.by_kind(GroupVersionKind("", "v1", "Pod"))
    assert kind is not None
    body = orjson.dumps(pod())
    stored = decode.decode_object(body, "application/json", kind).document
    kind.default(stored)
    stored["metadata"]["uid"] = "1"
    apply.record(kind, stored, None, "bench", "", NOW)
    running = copy.deepcopy(stored)
    running["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.0.1"}
    merge = {"metadata": {"annotations": {"a": "b"}}}
    images = {"spec": {"containers": [{"name": "web", "image": "nginx:2"}]}}
    operations = [{"op": "replace", "path": "/spec/containers/0/image", "value": "nginx:2"}]
    selector = selectors.parse_labels("app=web,tier in (front,back)")
    applied = apply.apply(kind, None, pod(), "bench", force=False, now=NOW)

    def create() -> None:
        stored["metadata"].pop("managedFields", None)
        apply.record(kind, stored, None, "bench", "", NOW)

    def update() -> None:
        running["metadata"]["managedFields"] = stored["metadata"]["managedFields"]
        apply.record(kind, running, stored, "agent", "status", NOW)

    return {
        "decode a pod (types, unknown and duplicate fields)": lambda: decode.decode_object(body, "", kind),
        "managedFields of a create": create,
        "managedFields of a status update": update,
        "encode for the store": lambda: encode.encode(stored),
        "server-side apply, new": lambda: apply.apply(kind, None, pod(), "bench", force=False, now=NOW),
        "server-side apply, unchanged": lambda: apply.apply(kind, applied, pod(), "bench", force=False, now=NOW),
        "merge patch": lambda: patch.merge_patch(stored, merge),
        "strategic merge patch": lambda: patch.apply_patch(stored, images, negotiate.STRATEGIC_MERGE_PATCH, kind),
        "JSON patch": lambda: patch.json_patch(stored, operations),
        "negotiate kubectl's Accept": lambda: negotiate.for_resource(KUBECTL_GET),
        "match a label selector": lambda: selector.matches({"app": "web", "tier": "front"}),
        "table row": lambda: tables.table(kind, [stored], 1, now=0.0),
        "aggregated discovery": lambda: discovery.document(registry, "/apis", True),
        "OpenAPI v3 of apps/v1, kept": lambda: openapi.v3(registry, "apis/apps/v1", gzipped=True),
        "OpenAPI v3 of apps/v1, rendered": lambda: openapi.v3(builtin_registry(), "apis/apps/v1", gzipped=True),
    }


def main() -> None:
    """Print the table."""
    for name, work in pieces().items():
        print(f"{name:<52}{measure(work):>12.2f} us")


if __name__ == "__main__":
    main()
