"""Roles for people: cluster-admin, and admin, edit and view of namespaces, each gathered from parts that others may add to.

Source: ``plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go`` of v1.36; what is of our own groups is said beside it.
"""

from __future__ import annotations

from moorage_tenants.authorisation.defaults.making import ALL, READ, WRITE, cluster_role, joins, rule, urls

_VIEWED = (
    rule(
        READ,
        "core",
        "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers "
        "replicationcontrollers/scale serviceaccounts services services/status",
    ),
    rule(
        READ,
        "core",
        "bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas "
        "resourcequotas/status",
    ),
    rule(READ, "core", "namespaces"),
    rule(READ, "discovery.k8s.io", "endpointslices"),
    rule(
        READ,
        "apps",
        "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets "
        "replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status",
    ),
    rule(READ, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
    rule(READ, "batch", "cronjobs cronjobs/status jobs jobs/status"),
    rule(READ, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
    rule(READ, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
    # Both stores of events are one.
    rule(READ, "events.k8s.io", "events"),
)
_EDITED = (
    rule(READ, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
    rule("impersonate", "core", "serviceaccounts"),
    rule(WRITE, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
    rule("create", "core", "pods/eviction"),
    rule(
        WRITE,
        "core",
        "configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets "
        "serviceaccounts services services/proxy",
    ),
    rule("create", "core", "serviceaccounts/token"),
    rule(
        WRITE,
        "apps",
        "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets "
        "statefulsets/scale",
    ),
    rule(WRITE, "autoscaling", "horizontalpodautoscalers"),
    rule(WRITE, "batch", "cronjobs jobs"),
    rule(WRITE, "policy", "poddisruptionbudgets"),
    rule(WRITE, "networking.k8s.io", "ingresses networkpolicies"),
    rule(ALL, "coordination.k8s.io", "leases"),
)
_ADMINISTERED = (
    rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
    rule(ALL, "rbac.authorization.k8s.io", "rolebindings roles"),
)

_OWN_VIEWED = (
    rule(READ, "gitops.moorage.io", "applications applications/status repositories repositories/status"),
    rule(READ, "secrets.moorage.io", "sealedsecrets sealedsecrets/status"),
    rule(READ, "metrics.k8s.io", "pods"),
    rule(READ, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
)
_OWN_EDITED = (
    rule(WRITE, "gitops.moorage.io", "applications repositories"),
    rule("create", "gitops.moorage.io", "repositories/push"),
    # A push writes, as the pusher and in its own transaction, what it deployed.
    rule("patch", "gitops.moorage.io", "applications/status repositories/status"),
    rule(WRITE, "secrets.moorage.io", "sealedsecrets"),
    rule("patch update", "core", "pods/ephemeralcontainers pods/resize"),
    rule(WRITE, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
)
_OWN_ADMINISTERED = (
    # What was done in their namespaces, by whomever.
    rule("list", "moorage.io", "audit"),
)

PEOPLE = (
    cluster_role("cluster-admin", (rule("*", "*", "*"), urls("*", "*"))),
    cluster_role("admin", gathers="aggregate-to-admin"),
    cluster_role("edit", gathers="aggregate-to-edit", labels=joins("admin")),
    cluster_role("view", gathers="aggregate-to-view", labels=joins("edit")),
    cluster_role("system:aggregate-to-admin", _ADMINISTERED, labels=joins("admin")),
    cluster_role("system:aggregate-to-edit", _EDITED, labels=joins("edit")),
    cluster_role("system:aggregate-to-view", _VIEWED, labels=joins("view")),
    cluster_role("system:moorage:aggregate-to-admin", _OWN_ADMINISTERED, labels=joins("admin")),
    cluster_role("system:moorage:aggregate-to-edit", _OWN_EDITED, labels=joins("edit")),
    cluster_role("system:moorage:aggregate-to-view", _OWN_VIEWED, labels=joins("view")),
)
