"""What scheduling needs to know of a pod. Pods of one template share one ``Profile``, so that thousands of them cost little."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from moorage.client.objects import Document, ObjectKey, controller_of, key_of, uid_of
from moorage.resources.scheduling import NEVER
from moorage.scheduler.requests import HostPort, host_ports, pod_requests, scoring_requests

Terms = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Everything but the pod's name. ``static`` names what decides between nodes whatever runs there: equal text, equal
    verdict. ``group`` names the pods among which this one is to be spread.
    """

    namespace: str
    labels: Mapping[str, str]
    group: str
    static: bytes
    node_selector: Mapping[str, str]
    required_terms: Terms | None
    preferred_terms: Terms
    tolerations: Terms
    requests: Mapping[str, int]
    scoring: tuple[int, int]
    ports: tuple[HostPort, ...]
    affinity: Terms
    anti_affinity: Terms
    preferred_affinity: Terms
    preferred_anti_affinity: Terms
    spread: Terms

    @property
    def topological(self) -> bool:
        """Whether other pods decide where this one may go."""
        return bool(self.affinity or self.anti_affinity or self.spread)


@dataclass(frozen=True, slots=True, eq=False)
class PodInfo:
    """A pod. ``created`` orders equals by age; ``preempts``: less important ones may have to make room for it. ``own_claims``
    are those of ``claims`` that are made for it (generic ephemeral volumes); ``devices``: it has ``resourceClaims``.
    """

    key: ObjectKey
    uid: str
    priority: int
    created: str
    profile: Profile
    preempts: bool = True
    claims: tuple[str, ...] = ()
    own_claims: tuple[str, ...] = ()
    devices: bool = False


def claims_of(pod: Document) -> Iterator[str]:
    """Names of the claims that a pod mounts."""
    for volume in pod["spec"].get("volumes") or ():
        if "persistentVolumeClaim" in volume:
            yield str(volume["persistentVolumeClaim"].get("claimName", ""))
    yield from own_claims_of(pod)


def own_claims_of(pod: Document) -> Iterator[str]:
    """Names of the claims of its generic ephemeral volumes: after pod and volume (KEP-1698)."""
    for volume in pod["spec"].get("volumes") or ():
        if "ephemeral" in volume:
            yield f"{pod['metadata']['name']}-{volume['name']}"


def reference(pod: PodInfo) -> Document:
    """What events about the pod point to."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": pod.key.namespace, "name": pod.key.name, "uid": pod.uid},
    }


class Profiles:
    """Reads pods; keeps one profile for all that are alike."""

    def __init__(self, kept: int = 8192) -> None:
        self._kept = kept
        self._known: dict[bytes, Profile] = {}

    def read(self, pod: Document) -> PodInfo:
        """The pod as scheduling sees it."""
        metadata, spec = pod["metadata"], pod["spec"]
        owner = controller_of(pod)
        group = owner["uid"] if owner else ""
        signature = orjson.dumps(
            [metadata.get("namespace"), group, metadata.get("labels"), _relevant(spec)], option=orjson.OPT_SORT_KEYS
        )
        profile = self._known.get(signature)
        if profile is None:
            profile = _profile(metadata, spec, group)
            self._known[signature] = profile
            if len(self._known) > self._kept:
                del self._known[next(iter(self._known))]
        return PodInfo(
            key_of(pod),
            uid_of(pod),
            int(spec.get("priority") or 0),
            str(metadata.get("creationTimestamp") or ""),
            profile,
            spec.get("preemptionPolicy") != NEVER,
            tuple(claims_of(pod)) if spec.get("volumes") else (),
            tuple(own_claims_of(pod)) if spec.get("volumes") else (),
            bool(spec.get("resourceClaims")),
        )


_FIELDS = (
    "nodeSelector",
    "affinity",
    "tolerations",
    "overhead",
    "resources",
    "topologySpreadConstraints",
)


def _container(container: Mapping[str, Any]) -> Document:
    return {field: container[field] for field in ("resources", "ports", "restartPolicy") if container.get(field)}


def _relevant(spec: Mapping[str, Any]) -> Document:
    found: Document = {field: spec[field] for field in _FIELDS if spec.get(field)}
    for part in ("containers", "initContainers"):
        if spec.get(part):
            found[part] = [_container(each) for each in spec[part]]
    return found


def _profile(metadata: Mapping[str, Any], spec: Mapping[str, Any], group: str) -> Profile:
    labels = dict(metadata.get("labels") or {})
    namespace = str(metadata.get("namespace") or "")
    affinity = spec.get("affinity") or {}
    node = affinity.get("nodeAffinity") or {}
    required = node.get("requiredDuringSchedulingIgnoredDuringExecution")
    pods, against = affinity.get("podAffinity") or {}, affinity.get("podAntiAffinity") or {}
    decisive = [spec.get("nodeSelector"), node, spec.get("tolerations")]
    return Profile(
        namespace=namespace,
        labels=labels,
        group=group or (f"{namespace}/{orjson.dumps(labels, option=orjson.OPT_SORT_KEYS).decode()}" if labels else ""),
        static=orjson.dumps(decisive, option=orjson.OPT_SORT_KEYS),
        node_selector=spec.get("nodeSelector") or {},
        required_terms=None if required is None else required.get("nodeSelectorTerms") or (),
        preferred_terms=node.get("preferredDuringSchedulingIgnoredDuringExecution") or (),
        tolerations=spec.get("tolerations") or (),
        requests=pod_requests(spec),
        scoring=scoring_requests(spec),
        ports=host_ports(spec),
        affinity=pods.get("requiredDuringSchedulingIgnoredDuringExecution") or (),
        anti_affinity=against.get("requiredDuringSchedulingIgnoredDuringExecution") or (),
        preferred_affinity=pods.get("preferredDuringSchedulingIgnoredDuringExecution") or (),
        preferred_anti_affinity=against.get("preferredDuringSchedulingIgnoredDuringExecution") or (),
        spread=spec.get("topologySpreadConstraints") or (),
    )
