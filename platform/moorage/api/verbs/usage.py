"""``metrics.k8s.io``: what nodes and pods use, asked of the nodes over their tunnels and kept for a few seconds.

Source: metrics-server's API. As there, a node that does not answer is missing from the list; asked for by name it is 404.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from moorage.api.answers import send_value, send_values
from moorage.api.errors import ApiError, not_found
from moorage.api.filtering import Filter
from moorage.api.freshness import fresh
from moorage.api.options import ListOptions
from moorage.api.request import Request
from moorage.api.service import Service
from moorage.client.objects import timestamp
from moorage.client.tunnel import TunnelError
from moorage.resources.kind import Document, ResourceKey
from moorage.resources.metrics import GROUP, VERSION
from moorage.store.contracts import Entry

NODES, PODS = ResourceKey("", "nodes"), ResourceKey("", "pods")
FRESH = 10.0
"""Seconds for which a node's answer stands."""
PATIENCE = 8.0
"""Seconds that a node has to answer: it measures for one."""
AT_ONCE = 64
LARGEST = 16 * 2**20


@dataclass(slots=True)
class _Answers:
    """What nodes said lately, and questions under way."""

    known: dict[str, tuple[float, Mapping[str, Any] | None]] = field(default_factory=dict)
    asking: dict[str, asyncio.Task[Mapping[str, Any] | None]] = field(default_factory=dict)
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))


_ANSWERS: WeakKeyDictionary[Service, _Answers] = WeakKeyDictionary()
"""By service: a process may hold several in tests."""


async def list_usage(service: Service, request: Request, options: ListOptions, only: Filter) -> None:
    """GET of a collection. Selectors are those of the nodes and pods themselves."""
    del options
    entries = await _selected(service, request, only)
    documents = await (_of_pods if request.kind.namespaced else _of_nodes)(service, entries)
    await send_values(request, request.kind, documents)


async def get_usage(service: Service, request: Request) -> None:
    """GET of one node's or pod's usage. Raises ApiError 404."""
    kind = request.kind
    entry = (await fresh(service.store, PODS if kind.namespaced else NODES)).get(request.namespace, request.name)
    found = await (_of_pods if kind.namespaced else _of_nodes)(service, [entry] if entry is not None else [])
    if not found:
        raise not_found(kind.group, kind.plural, request.name)
    await send_value(request, found[0])


async def _selected(service: Service, request: Request, only: Filter) -> Sequence[Entry]:
    cache = await fresh(service.store, PODS if request.kind.namespaced else NODES)
    return [entry for entry in cache.entries(request.namespace or None) if only.matches(entry)]


async def _of_nodes(service: Service, entries: Sequence[Entry]) -> list[Document]:
    found = await _ask(service, [entry.key.name for entry in entries])
    documents = []
    for entry in entries:
        report = found.get(entry.key.name)
        if report is not None:
            document = _document("NodeMetrics", entry, report)
            document["usage"] = _usage(report["node"])
            documents.append(document)
    return documents


async def _of_pods(service: Service, entries: Sequence[Entry]) -> list[Document]:
    where = [(entry, str((entry.document().get("spec") or {}).get("nodeName") or "")) for entry in entries]
    found = await _ask(service, sorted({node for _, node in where} - {""}))
    used = {node: {pod["uid"]: pod for pod in report["pods"]} for node, report in found.items()}
    documents = []
    for entry, node in where:
        pod = used.get(node, {}).get(entry.uid)
        if pod is not None:
            document = _document("PodMetrics", entry, found[node])
            document["containers"] = [{"name": one["name"], "usage": _usage(one)} for one in pod["containers"]]
            documents.append(document)
    return documents


def _document(kind: str, entry: Entry, report: Mapping[str, Any]) -> Document:
    own = entry.document()["metadata"]
    at = timestamp(report["time"])
    metadata = {"name": own["name"], "creationTimestamp": at}
    if own.get("namespace"):
        metadata["namespace"] = own["namespace"]
    if own.get("labels"):
        metadata["labels"] = own["labels"]
    return {
        "kind": kind,
        "apiVersion": f"{GROUP}/{VERSION}",
        "metadata": metadata,
        "timestamp": at,
        "window": f"{report['window']:.3f}s",
    }


def _usage(used: Mapping[str, Any]) -> Document:
    """As metrics-server writes quantities: nanocores and KiB."""
    return {"cpu": f"{round(used['cpu'] * 1e9)}n", "memory": f"{used['memory'] // 1024}Ki"}


async def _ask(service: Service, nodes: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """The reports of those nodes that answer."""
    answers = _ANSWERS.setdefault(service, _Answers())
    found = await asyncio.gather(*(_report(service, answers, node) for node in nodes))
    return {node: report for node, report in zip(nodes, found, strict=True) if report is not None}


async def _report(service: Service, answers: _Answers, node: str) -> Mapping[str, Any] | None:
    known = answers.known.get(node)
    if known is not None and time.monotonic() - known[0] < FRESH:
        return known[1]
    task = answers.asking.get(node)
    if task is None:
        task = answers.asking[node] = asyncio.create_task(_fetch(service, answers, node), name=f"usage of node {node}")
        task.add_done_callback(lambda _done: answers.asking.pop(node, None))
    return await asyncio.shield(task)


async def _fetch(service: Service, answers: _Answers, node: str) -> Mapping[str, Any] | None:
    report: Mapping[str, Any] | None = None
    async with answers.slots:
        try:
            async with asyncio.timeout(PATIENCE), service.config.tunnels.open(node, {"kind": "stats"}) as stream:
                report = orjson.loads(await _whole(aiter(stream)))
        except (ApiError, TunnelError, TimeoutError, ValueError):
            report = None  # the node is down, or of an older release: it has no usage
    answers.known[node] = (time.monotonic(), report)
    return report


async def _whole(chunks: Any) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > LARGEST:
            raise ValueError("a node's report is too long")
    return bytes(body)
