"""A Deployment and its ReplicaSets as the decisions see them: numbers with their defaults, and the document behind them.

Source: Kubernetes' ``pkg/controller/deployment/util``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.client.objects import Document, condition, is_deleting
from moorage.resources import intstr

REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
HASH_LABEL = "pod-template-hash"


def _number(value: object, default: int = 0) -> int:
    return int(str(value)) if value is not None else default


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """What a Deployment asks for."""

    document: Document

    @property
    def name(self) -> str:
        """``metadata.name``."""
        return str(self.document["metadata"]["name"])

    @property
    def spec(self) -> Mapping[str, Any]:
        """``spec``."""
        spec: Mapping[str, Any] = self.document["spec"]
        return spec

    @property
    def status(self) -> Mapping[str, Any]:
        """``status``, maybe empty."""
        return self.document.get("status") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        """``metadata.annotations``, maybe empty."""
        return self.document["metadata"].get("annotations") or {}

    @property
    def replicas(self) -> int:
        """How many pods are wanted."""
        return _number(self.spec.get("replicas"), 1)

    @property
    def paused(self) -> bool:
        """Whether rollouts are on hold (scaling is not)."""
        return bool(self.spec.get("paused"))

    @property
    def recreate(self) -> bool:
        """Whether all old pods go before the first new one comes."""
        return (self.spec.get("strategy") or {}).get("type") == "Recreate"

    @property
    def deadline(self) -> int | None:
        """``progressDeadlineSeconds``; None for none (the API's largest int32 means none too)."""
        seconds = self.spec.get("progressDeadlineSeconds")
        return None if seconds is None or int(seconds) == 2**31 - 1 else int(seconds)

    @property
    def max_surge(self) -> int:
        """Pods that may exist above the wanted number."""
        return 0 if self.recreate else self._fences()[0]

    @property
    def max_unavailable(self) -> int:
        """Pods of the wanted number that may be missing."""
        if self.recreate or self.replicas == 0:
            return 0
        return min(self._fences()[1], self.replicas)

    def progressing(self) -> Document | None:
        """The Progressing condition."""
        return condition(self.document, "Progressing")

    def _fences(self) -> tuple[int, int]:
        """Surge rounds up, unavailable down; where both come out as 0, one pod may be missing, or nothing could ever move."""
        rolling = (self.spec.get("strategy") or {}).get("rollingUpdate") or {}
        surge = intstr.scaled(rolling.get("maxSurge", "25%"), self.replicas, round_up=True)
        unavailable = intstr.scaled(rolling.get("maxUnavailable", "25%"), self.replicas, round_up=False)
        return surge, 1 if surge == 0 and unavailable == 0 else unavailable


@dataclass(frozen=True, slots=True)
class ReplicaSetView:
    """A ReplicaSet's numbers. ``replicas`` is what it is told, the others are what it reports."""

    document: Document
    name: str
    replicas: int
    reported: int
    ready: int
    available: int
    terminating: int
    created: str
    revision: int

    @property
    def annotations(self) -> Mapping[str, str]:
        """``metadata.annotations``, maybe empty."""
        return self.document["metadata"].get("annotations") or {}

    @property
    def template(self) -> Mapping[str, Any]:
        """``spec.template``."""
        template: Mapping[str, Any] = self.document["spec"]["template"]
        return template

    @property
    def lasting(self) -> int:
        """Available pods that stay when a shrinking that is under way is through: reports lag behind orders."""
        return min(self.available, self.replicas)

    @property
    def idle(self) -> bool:
        """Told to have no pods, and has none, and knows it: safe to remove."""
        status = self.document.get("status") or {}
        generation = _number(self.document["metadata"].get("generation"))
        observed = _number(status.get("observedGeneration"))
        return self.replicas == 0 and self.reported == 0 and generation <= observed and not is_deleting(self.document)


def replica_set_view(document: Document) -> ReplicaSetView:
    """Read a ReplicaSet."""
    metadata, status = document["metadata"], document.get("status") or {}
    return ReplicaSetView(
        document=document,
        name=metadata["name"],
        replicas=_number(document["spec"].get("replicas"), 1),
        reported=_number(status.get("replicas")),
        ready=_number(status.get("readyReplicas")),
        available=_number(status.get("availableReplicas")),
        terminating=_number(status.get("terminatingReplicas")),
        created=str(metadata.get("creationTimestamp") or ""),
        revision=revision_of(metadata.get("annotations") or {}),
    )


def revision_of(annotations: Mapping[str, str]) -> int:
    """The revision annotation as a number; 0 where there is none or it is not one."""
    text = annotations.get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def oldest_first(sets: Iterable[ReplicaSetView]) -> list[ReplicaSetView]:
    """By creation, then by name."""
    return sorted(sets, key=lambda each: (each.created, each.name))


def total(sets: Sequence[ReplicaSetView]) -> int:
    """Pods that ``sets`` are told to have."""
    return sum(each.replicas for each in sets)
