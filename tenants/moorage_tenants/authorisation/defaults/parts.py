"""Roles of Kubernetes' own parts and add-ons, for those who bring such a part along (a scheduler, a DNS, a delegating API).

Source: ``plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`` of v1.36.
"""

from __future__ import annotations

from moorage.resources.kind import Document
from moorage_tenants.authorisation.defaults.making import READ, cluster_role, rule

_EVENTS = rule("create patch update", "core events.k8s.io", "events")
_DELEGATION = (
    rule("create", "authentication.k8s.io", "tokenreviews"),
    rule("create", "authorization.k8s.io", "subjectaccessreviews"),
)
_CERTIFICATES = "certificates.k8s.io"
_SIGNERS = {
    "kube-apiserver-client-approver": "kubernetes.io/kube-apiserver-client",
    "kube-apiserver-client-kubelet-approver": "kubernetes.io/kube-apiserver-client-kubelet",
    "kubelet-serving-approver": "kubernetes.io/kubelet-serving",
    "legacy-unknown-approver": "kubernetes.io/legacy-unknown",
}
_SCHEDULER = (
    _EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    rule("get update", "coordination.k8s.io", "leases", "kube-scheduler"),
    rule(READ, "core", "nodes namespaces"),
    rule((*READ, "delete"), "core", "pods"),
    rule("create", "core", "bindings pods/binding"),
    rule("patch update", "core", "pods/status"),
    rule(READ, "core", "replicationcontrollers services persistentvolumeclaims persistentvolumes"),
    rule(READ, "apps", "replicasets statefulsets"),
    rule(READ, "policy", "poddisruptionbudgets"),
    rule(READ, "storage.k8s.io", "csidrivers csinodes csistoragecapacities"),
    *_DELEGATION,
)
_CONTROLLER_MANAGER = (
    _EVENTS,
    rule("create", "coordination.k8s.io", "leases"),
    rule("get update", "coordination.k8s.io", "leases", "kube-controller-manager"),
    rule("create", "core", "secrets serviceaccounts"),
    rule("delete", "core", "secrets"),
    rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
    rule("update", "core", "secrets serviceaccounts"),
    *_DELEGATION,
    rule("list watch", "*", "*"),
    rule("create", "core", "serviceaccounts/token"),
)
_NODE = (
    rule(READ, "core", "services"),
    rule("create get list watch", "core", "nodes"),
    rule("patch update", "core", "nodes nodes/status"),
    _EVENTS,
    rule((*READ, "create", "delete"), "core", "pods"),
    rule("patch update", "core", "pods/status"),
    rule(READ, "core", "configmaps secrets"),
    rule("get", "core", "persistentvolumeclaims persistentvolumes"),
    rule("create", "core", "serviceaccounts/token"),
    rule("create delete get patch update", "coordination.k8s.io", "leases"),
)
_KUBELET = (
    rule(READ, "core", "nodes"),
    rule("proxy", "core", "nodes"),
    rule("*", "core", "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats"),
)
_PROXIER = (
    rule("list watch", "core", "endpoints services"),
    rule(READ, "core", "nodes"),
    _EVENTS,
    rule("list watch", "discovery.k8s.io", "endpointslices"),
)
_PROVISIONER = (
    rule("create delete get list watch", "core", "persistentvolumes"),
    rule("get list update watch", "core", "persistentvolumeclaims"),
    rule(READ, "storage.k8s.io", "storageclasses"),
    rule("watch", "core", "events"),
    _EVENTS,
)
_VOLUME_SCHEDULER = (
    rule((*READ, "patch", "update"), "core", "persistentvolumes"),
    rule(READ, "storage.k8s.io", "storageclasses"),
    rule((*READ, "patch", "update"), "core", "persistentvolumeclaims"),
)


def _approvers() -> tuple[Document, ...]:
    prefix = "system:certificates.k8s.io:"
    requests = tuple(
        cluster_role(
            f"{prefix}certificatesigningrequests:{kind}",
            (rule("create", _CERTIFICATES, f"certificatesigningrequests/{kind}"),),
        )
        for kind in ("nodeclient", "selfnodeclient")
    )
    signers = tuple(
        cluster_role(f"{prefix}{name}", (rule("approve", _CERTIFICATES, "signers", signer),))
        for name, signer in _SIGNERS.items()
    )
    return requests + signers


PARTS = (
    cluster_role("system:auth-delegator", _DELEGATION),
    *_approvers(),
    cluster_role(
        "system:heapster", (rule(READ, "core", "events namespaces nodes pods"), rule(READ, "apps", "deployments"))
    ),
    cluster_role("system:kube-aggregator", (rule(READ, "core", "endpoints services"),)),
    cluster_role("system:kube-controller-manager", _CONTROLLER_MANAGER),
    cluster_role("system:kube-dns", (rule("list watch", "core", "endpoints services"),)),
    cluster_role("system:kube-scheduler", _SCHEDULER),
    cluster_role("system:kubelet-api-admin", _KUBELET),
    # Bound to nobody, as in Kubernetes since v1.8: what nodes may is in ``nodes``, and goes by their pods.
    cluster_role("system:node", _NODE),
    cluster_role(
        "system:node-bootstrapper", (rule("create get list watch", _CERTIFICATES, "certificatesigningrequests"),)
    ),
    cluster_role(
        "system:node-problem-detector", (rule("get", "core", "nodes"), rule("patch", "core", "nodes/status"), _EVENTS)
    ),
    cluster_role("system:node-proxier", _PROXIER),
    cluster_role("system:persistent-volume-provisioner", _PROVISIONER),
    cluster_role("system:volume-scheduler", _VOLUME_SCHEDULER),
)
