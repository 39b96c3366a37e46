"""One object of every kind, all of them called "there": what those who may not see it must not hear of."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from moorage.resources.kind import Kind
from moorage.resources.registry import Registry

Document = dict[str, Any]
NAMESPACE = "there"
ABSENT = "absent"

_NAMES = {
    "ipaddresses": ("10.96.0.77", "10.96.0.78"),
    "nodeports": ("tcp-30077", "tcp-30078"),
    "sealedsecrets": ("sealed", ABSENT),
}
_LABELS = {"app": "there"}
_CONTAINER = {"name": "c", "image": "there:1"}
_TEMPLATE = {"metadata": {"labels": _LABELS}, "spec": {"containers": [_CONTAINER]}}
_ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
_SERVICE_PORT = {"number": 80}
_ANYBODY = {"kind": "User", "name": "somebody", "apiGroup": "rbac.authorization.k8s.io"}


def _request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "there")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()


_POD = {
    "nodeName": "there",
    "serviceAccountName": "there",
    "containers": [{**_CONTAINER, "envFrom": [{"configMapRef": {"name": "there"}}]}],
    "volumes": [
        {"name": "s", "secret": {"secretName": "there"}},
        {"name": "p", "persistentVolumeClaim": {"claimName": "there"}},
    ],
}
"""Bound to the node "there", which may therefore read what it names."""

_BODIES: dict[tuple[str, str], Document] = {
    ("", "configmaps"): {"data": {"a": "b"}},
    ("", "endpoints"): {"subsets": []},
    ("", "events"): {"involvedObject": {"kind": "Pod", "namespace": NAMESPACE, "name": "there"}, "reason": "R"},
    ("", "limitranges"): {"spec": {"limits": []}},
    ("", "namespaces"): {},
    ("", "nodes"): {},
    ("", "persistentvolumeclaims"): {
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": "there"}
    },
    ("", "persistentvolumes"): {
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"},
            "hostPath": {"path": "/there"},
            "claimRef": {"namespace": NAMESPACE, "name": "there"},
        }
    },
    ("", "pods"): {"spec": _POD},
    ("", "podtemplates"): {"template": _TEMPLATE},
    ("", "replicationcontrollers"): {"spec": {"replicas": 0, "selector": _LABELS, "template": _TEMPLATE}},
    ("", "resourcequotas"): {"spec": {"hard": {"count/widgets.example.com": "9"}}},
    ("", "secrets"): {"stringData": {"a": "hidden"}},
    ("", "serviceaccounts"): {},
    ("", "services"): {"spec": {"ports": [{"port": 80}]}},
    ("apps", "deployments"): {"spec": {"replicas": 0, "selector": {"matchLabels": _LABELS}, "template": _TEMPLATE}},
    ("apps", "replicasets"): {"spec": {"replicas": 0, "selector": {"matchLabels": _LABELS}, "template": _TEMPLATE}},
    ("certificates.k8s.io", "certificatesigningrequests"): {
        "spec": {"request": _request(), "signerName": "example.com/there", "usages": ["client auth"]}
    },
    ("coordination.k8s.io", "leases"): {"spec": {"holderIdentity": "x"}},
    ("discovery.k8s.io", "endpointslices"): {"addressType": "IPv4", "endpoints": []},
    ("events.k8s.io", "events"): {},
    ("flowcontrol.apiserver.k8s.io", "flowschemas"): {"spec": {"priorityLevelConfiguration": {"name": "exempt"}}},
    ("flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations"): {
        "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}
    },
    ("gitops.moorage.io", "applications"): {"spec": {"repository": "there"}},
    ("gitops.moorage.io", "repositories"): {"spec": {}},
    ("node.k8s.io", "runtimeclasses"): {"handler": "runc"},
    ("scheduling.k8s.io", "priorityclasses"): {"value": 7},
    ("networking.k8s.io", "networkpolicies"): {"spec": {"podSelector": {}}},
    ("network.moorage.io", "policyrules"): {},
    ("network.moorage.io", "nodeports"): {},
    ("networking.k8s.io", "ingressclasses"): {"spec": {"controller": "example.com/there"}},
    ("networking.k8s.io", "ingresses"): {
        "spec": {"defaultBackend": {"service": {"name": "there", "port": _SERVICE_PORT}}}
    },
    ("networking.k8s.io", "ipaddresses"): {
        "spec": {"parentRef": {"resource": "services", "namespace": NAMESPACE, "name": "there"}}
    },
    ("networking.k8s.io", "servicecidrs"): {"spec": {"cidrs": ["10.97.0.0/24"]}},
    ("policy", "poddisruptionbudgets"): {"spec": {"minAvailable": 1, "selector": {"matchLabels": _LABELS}}},
    ("rbac.authorization.k8s.io", "clusterrolebindings"): {"roleRef": _ROLE, "subjects": [_ANYBODY]},
    ("rbac.authorization.k8s.io", "clusterroles"): {"rules": []},
    ("rbac.authorization.k8s.io", "rolebindings"): {"roleRef": _ROLE, "subjects": [_ANYBODY]},
    ("rbac.authorization.k8s.io", "roles"): {"rules": []},
    ("secrets.moorage.io", "keyrotations"): {"spec": {}},
    ("secrets.moorage.io", "sealedsecrets"): {"spec": {"encryptedData": {}}},
    ("resource.k8s.io", "deviceclasses"): {"spec": {}},
    ("resource.k8s.io", "resourceclaims"): {"spec": {}},
    ("resource.k8s.io", "resourceclaimtemplates"): {"spec": {"spec": {}}},
    ("resource.k8s.io", "resourceslices"): {
        "spec": {"driver": "example.com", "nodeName": "there", "pool": {"name": "there", "resourceSliceCount": 1}}
    },
    ("storage.k8s.io", "csidrivers"): {"spec": {}},
    ("storage.k8s.io", "csinodes"): {"spec": {}},
    ("storage.k8s.io", "csistoragecapacities"): {"storageClassName": "there"},
    ("storage.k8s.io", "volumeattachments"): {
        "spec": {"attacher": "example.com", "nodeName": "there", "source": {"persistentVolumeName": "there"}}
    },
    ("storage.k8s.io", "storageclasses"): {"provisioner": "example.com/there"},
    ("storage.k8s.io", "volumeattributesclasses"): {"driverName": "example.com/there", "parameters": {"a": "b"}},
    ("tenancy.moorage.io", "tenants"): {
        "spec": {
            "owners": [{"kind": "User", "name": "own"}],
            "members": [
                {"kind": "User", "name": "view", "role": "view"},
                {"kind": "User", "name": "edit", "role": "edit"},
            ],
        }
    },
}
_FIRST = ("tenants", "namespaces", "nodes", "serviceaccounts", "secrets", "configmaps", "services")
"""What others refer to."""


def is_kept(kind: Kind) -> bool:
    """Whether objects of the kind are stored: neither carried out nor computed."""
    return {"create", "get"} <= set(kind.verbs)


def unknown(registry: Registry) -> list[str]:
    """The kinds whose objects are stored and of which there is none above."""
    return [kind.plural for kind in registry if is_kept(kind) and (kind.group, kind.plural) not in _BODIES]


def kept(registry: Registry) -> Iterator[Kind]:
    """The kinds of which there is one, in an order in which they can be made."""
    kinds = [kind for kind in registry if is_kept(kind) and (kind.group, kind.plural) in _BODIES]
    order = {name: number for number, name in enumerate(_FIRST)}
    return iter(sorted(kinds, key=lambda kind: order.get(kind.plural, len(order))))


def names(kind: Kind) -> tuple[str, str]:
    """What the object is called that is there, and what one would be called that is not."""
    return _NAMES.get(kind.plural, ("there", ABSENT))


def root(kind: Kind) -> str:
    """What the paths of all objects of a kind begin with, as far as they are in a namespace: in that one."""
    prefix = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.version}"
    return f"{prefix}/namespaces/{NAMESPACE}" if kind.namespaced else prefix


def sample(kind: Kind, name: str) -> Document:
    """A document of ``kind``."""
    metadata: Document = {"name": name}
    if kind.namespaced:
        metadata["namespace"] = NAMESPACE
    if kind.plural == "namespaces":
        metadata["labels"] = {"tenancy.moorage.io/tenant": "there"}
    body = _BODIES.get((kind.group, kind.plural), {})
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **body}
