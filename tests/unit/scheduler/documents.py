"""Pods and nodes for placement tests."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from moorage.client.objects import Document
from moorage.scheduler.nodetable import NodeTable
from moorage.scheduler.place import Placement, Placer
from moorage.scheduler.podinfo import PodInfo, Profiles

_profiles = Profiles()


def node(
    name: str, cpu: str = "4", memory: str = "8Gi", pods: str = "110", ready: str = "True", **fields: Any
) -> Document:
    """A node; ``labels`` and fields of its spec as keywords."""
    labels = {"kubernetes.io/hostname": name, **fields.pop("labels", {})}
    amounts = {"cpu": cpu, "memory": memory, "pods": pods, **fields.pop("more", {})}
    conditions = [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": fields,
        "status": {"allocatable": amounts, "conditions": conditions},
    }


def pod(
    name: str, cpu: str = "", memory: str = "", *, port: int = 0, labels: dict[str, str] | None = None, **spec: Any
) -> PodInfo:
    """A pod of one container; fields of its spec as keywords."""
    requests = {key: value for key, value in (("cpu", cpu), ("memory", memory)) if value}
    container: Document = {"name": "c", "resources": {"requests": {**requests, **spec.pop("more", {})}}}
    if port:
        container["ports"] = [{"containerPort": port, "hostPort": port}]
    metadata = {"name": name, "namespace": "team", "uid": name, "labels": labels or {}}
    return _profiles.read({"metadata": metadata, "spec": {"containers": [container], **spec}})


def table(*nodes: Document) -> NodeTable:
    """A table of nodes."""
    made = NodeTable()
    for each in nodes:
        made.put(each)
    return made


def place(nodes: NodeTable, pods: Iterable[PodInfo], seed: int = 0, **namespaces: dict[str, str]) -> list[Placement]:
    """Place pods with ties broken by ``seed``."""
    return Placer(nodes, random.Random(seed), namespaces).place(list(pods))


def where(nodes: NodeTable, *pods: PodInfo) -> list[str]:
    """The nodes that pods are placed on, "" for none, in the order of the pods."""
    found = {each.pod.uid: each.node for each in place(nodes, pods)}
    return [found[each.uid] for each in pods]


def why(nodes: NodeTable, one: PodInfo) -> str:
    """Why a pod goes nowhere."""
    (placement,) = place(nodes, [one])
    assert not placement.node
    return placement.message
