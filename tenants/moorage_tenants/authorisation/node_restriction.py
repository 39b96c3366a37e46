"""What a node may say of itself: not the labels and taints by which others decide what runs on it, nor its range of addresses.
Of pods it makes none but mirrors of what it runs from files of its own (``static_pods.py``).

A node that is taken over could else move itself into a pool of machines that it does not belong to, and be given the pods and
secrets of another team, or draw the traffic of another node's pods. Labels under ``node-restriction.kubernetes.io`` are an
administrator's alone. Of its pods it may say how they are, not what they are called: Services and network policies select by
labels.
Source: Kubernetes' NodeRestriction admission (``plugin/pkg/admission/noderestriction``, KEP-279).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moorage.api.contracts import AdmissionRequest
from moorage.resources.core.nodes import NODE
from moorage.resources.core.persistent_volumes import PERSISTENT_VOLUME
from moorage.resources.core.pods.declaration import POD
from moorage.resources.kind import Document, FieldError
from moorage.resources.storage import FOLDER_FINALIZER
from moorage_tenants import names
from moorage_tenants.authorisation.static_pods import mirror_refusal

RESTRICTED = "node-restriction.kubernetes.io"
_KUBELETS = frozenset(
    {
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "beta.kubernetes.io/os",
        "failure-domain.beta.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "kubernetes.io/arch",
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/region",
        "topology.kubernetes.io/zone",
    }
)
_KUBELETS_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_PLATFORM_DOMAINS = ("kubernetes.io", "k8s.io", "moorage.io")


class NodeRestriction:
    """Implements ``moorage.api.contracts.Admission`` for writes of Nodes and Pods by members of ``system:nodes``."""

    async def mutate(self, request: AdmissionRequest) -> None:
        """Nothing is changed."""

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What the node may not say."""
        document = request.document
        if names.NODES not in request.identity.groups or document is None:
            return ()
        node = request.identity.name.removeprefix(names.NODE_PREFIX)
        if request.kind.storage == POD.storage and request.operation == "CREATE" and not request.subresource:
            why = await mirror_refusal(node, request, document)
            return [_refused(why)] if why else ()
        if request.kind.storage == POD.storage:
            return _of_pod(node, document, request.old or {})
        if request.kind.storage == PERSISTENT_VOLUME.storage:
            return _of_volume(node, document, request.old or {})
        if request.kind.storage != NODE.storage:
            return ()
        old = request.old or {}
        changed = sorted(
            key for key, value in _differing(_labels(document), _labels(old)) if value and not may_label(key)
        )
        errors = []
        if changed:
            errors.append(_refused(f'node "{node}" is not allowed to modify labels: {", ".join(changed)}'))
        if request.old is not None and _spec(document, "taints") != _spec(old, "taints"):
            errors.append(_refused(f'node "{node}" is not allowed to modify taints'))
        if any(_spec(document, field) != _spec(old, field) for field in ("podCIDR", "podCIDRs")):
            errors.append(_refused(f'node "{node}" is not allowed to choose its range of pod addresses'))
        if document["metadata"].get("ownerReferences") != (old.get("metadata") or {}).get("ownerReferences"):
            errors.append(_refused(f'node "{node}" is not allowed to modify its owner references'))
        return errors


def _of_pod(node: str, pod: Document, old: Document) -> Sequence[FieldError]:
    if _labels(pod) == _labels(old):
        return ()
    return [_refused(f'node "{node}" cannot update labels through pod status')]


def _of_volume(node: str, volume: Document, old: Document) -> Sequence[FieldError]:
    """Of a volume that is its folder it says that the folder is empty, by taking its finalizer away, and nothing else."""
    before = [each for each in _metadata(old).get("finalizers") or [] if each != FOLDER_FINALIZER]
    rest = [{**each, "metadata": {**_metadata(each), **_WRITTEN_BY_THE_API}} for each in (volume, old)]
    if rest[0] == rest[1] and (_metadata(volume).get("finalizers") or []) == before:
        return ()
    return [_refused(f'node "{node}" may only remove the finalizer {FOLDER_FINALIZER} of its volumes')]


_WRITTEN_BY_THE_API = dict.fromkeys(("finalizers", "managedFields", "resourceVersion", "generation"))


def _metadata(document: Document) -> Mapping[str, Any]:
    metadata: Mapping[str, Any] = document.get("metadata") or {}
    return metadata


def may_label(key: str) -> bool:
    """Whether a node may set or remove this label of its own."""
    domain = key.rpartition("/")[0]
    if _within(domain, (RESTRICTED,)):
        return False
    if key in _KUBELETS or _within(domain, _KUBELETS_DOMAINS):
        return True
    return not _within(domain, _PLATFORM_DOMAINS)


def _within(domain: str, parents: Sequence[str]) -> bool:
    return any(domain == parent or domain.endswith(f".{parent}") for parent in parents)


def _differing(new: Mapping[str, str], old: Mapping[str, str]) -> Sequence[tuple[str, bool]]:
    return [(key, new.get(key) != old.get(key)) for key in {*new, *old}]


def _labels(node: Document) -> Mapping[str, str]:
    labels: Mapping[str, str] = (node.get("metadata") or {}).get("labels") or {}
    return labels


def _spec(node: Document, field: str) -> Any:
    return (node.get("spec") or {}).get(field) or []


def _refused(text: str) -> FieldError:
    return FieldError("", "FieldValueForbidden", text)
