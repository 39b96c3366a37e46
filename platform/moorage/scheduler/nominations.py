"""Pods that a node was cleared for and that are not on it yet: their place is kept from pods that matter less.

Source: Kubernetes' ``nominatedNodeName``; its scheduler counts nominated pods of the same or a higher priority on their node.
"""

from __future__ import annotations

from collections.abc import Iterator

from moorage.scheduler.podinfo import PodInfo


class Nominations:
    """By the pod's uid."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[PodInfo, str]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, pod: PodInfo, node: str) -> None:
        """Keep a place on ``node``."""
        self._kept[pod.uid] = pod, node

    def drop(self, uid: str) -> bool:
        """The pod is placed, gone, or goes elsewhere. Returns whether a place was kept for it."""
        return self._kept.pop(uid, None) is not None

    def node_of(self, uid: str) -> str:
        """The node where a place is kept for the pod, or ""."""
        kept = self._kept.get(uid)
        return kept[1] if kept is not None else ""

    def against(self, pod: PodInfo) -> Iterator[tuple[PodInfo, str]]:
        """The pods that ``pod`` may not take the place of, and their nodes."""
        for other, node in self._kept.values():
            if other.priority >= pod.priority and other.uid != pod.uid:
                yield other, node

    def below(self, pod: PodInfo, node: str) -> list[PodInfo]:
        """The pods that matter less than ``pod`` and had a place on the node that it gets."""
        return [
            other
            for other, where in self._kept.values()
            if where == node and other.priority < pod.priority and other.uid != pod.uid
        ]
