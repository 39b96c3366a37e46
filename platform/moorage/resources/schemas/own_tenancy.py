"""The definition of Tenant (``tenancy.moorage.io/v1``), in the form of the published set."""

from __future__ import annotations

from collections.abc import Mapping

from moorage.resources.schemas.shapes import (
    META,
    Schema,
    array,
    flag,
    integer,
    kind,
    kind_list,
    quantities,
    reference,
    structure,
    text,
    text_map,
    texts,
)

GROUP = "tenancy.moorage.io"
_T = "io.moorage.tenancy.v1"
_CORE = "io.k8s.api.core.v1"

_SUBJECT = {
    "kind": text("User, Group or ServiceAccount."),
    "name": text("The user's or group's name as the API server sees it, or the service account's."),
    "namespace": text("The service account's namespace; empty for users and groups."),
}


def _allowed(description: str, what: str, default: str = "") -> Schema:
    fields = {"allowed": texts(what)}
    if default:
        fields["default"] = text(default)
    return structure(description, fields)


_PARTS: dict[str, Schema] = {
    f"{_T}.Owner": structure(
        "Who owns the tenant: makes and deletes its namespaces, has ClusterRole admin in them, invites members.",
        _SUBJECT,
        ("kind", "name"),
    ),
    f"{_T}.Member": structure(
        "Who works in all namespaces of the tenant, and with which role.",
        {**_SUBJECT, "role": text("A ClusterRole: view, edit, admin or another. Defaults to edit.")},
        ("kind", "name"),
    ),
    f"{_T}.NamespacePolicy": structure(
        "What namespaces the owners may make.",
        {
            "limit": integer("How many namespaces the tenant may have; no limit where it is not set."),
            "requirePrefix": flag("Whether a namespace must be named TENANT or TENANT-SOMETHING."),
            "labels": text_map("Labels that every namespace of the tenant has; nobody of the tenant changes them."),
            "annotations": text_map("Annotations that every namespace of the tenant has, likewise."),
            "allowedLabels": texts(
                "Keys of labels that owners may set, as patterns (team.example.com/*); all but the platform's where empty."
            ),
            "allowedAnnotations": texts("Keys of annotations that owners may set, likewise."),
        },
    ),
    f"{_T}.Quota": structure(
        "What all namespaces of the tenant may use together.",
        {
            "hard": quantities(
                "Limit by resource, as in a ResourceQuota (requests.cpu, limits.memory, pods, requests.storage, "
                "count/deployments.apps, services.loadbalancers), and namespaces."
            )
        },
    ),
    f"{_T}.Registries": _allowed(
        "Where images may come from.",
        "Patterns of image references with registry (registry.example.com/blue/*, docker.io/library/*); "
        "a name without a registry is docker.io's, as Docker reads it. Everything is allowed where the list is not set.",
    ),
    f"{_T}.NodePools": structure(
        "Which nodes the tenant's pods run on.",
        {
            "selector": text_map("Labels of the nodes. Every pod gets them as its nodeSelector."),
            "tolerations": array(
                f"{_CORE}.Toleration", "Added to every pod, for nodes that are tainted for the tenant alone."
            ),
        },
    ),
    f"{_T}.PriorityClasses": _allowed(
        "Which priority classes pods may name.",
        "Names or patterns. Where the list is not set: those whose pods come before no other tenant's (up to the default "
        "class's priority, or 0).",
        "The class of pods that name none.",
    ),
    f"{_T}.StorageClasses": _allowed(
        "Which storage classes claims may name.",
        "Names or patterns; all where the list is not set.",
        "The class of claims that name none.",
    ),
    f"{_T}.IngressClasses": _allowed(
        "Which ingress classes ingresses may name.",
        "Names or patterns; all where the list is not set.",
        "The class of ingresses that name none.",
    ),
    f"{_T}.ServiceTypes": structure(
        "Which services the tenant may have.",
        {
            "allowed": texts(
                "Of ClusterIP, NodePort, LoadBalancer, ExternalName. Defaults to ClusterIP and ExternalName."
            ),
            "externalIPs": texts("Networks (CIDR) that spec.externalIPs may be of; none where empty."),
        },
    ),
    f"{_T}.HostPorts": structure(
        "Which ports of its node a pod may listen on.",
        {"allowed": texts("Ports (8080) or ranges (30000-30010) that the pod security level then does not forbid.")},
    ),
    f"{_T}.HostPaths": _allowed(
        "Which paths of its node a pod may mount. The pod security level must allow hostPath too.",
        "Path prefixes (/srv/blue); none where empty.",
    ),
    f"{_T}.Hostnames": _allowed(
        "Which host names ingresses may serve.",
        "Names or patterns (*.blue.example.com); all where the list is not set.",
    ),
    f"{_T}.PodSecurity": structure(
        "Pod security levels (privileged, baseline, restricted) of every namespace. Owners may be stricter, not laxer.",
        {
            "enforce": text("Pods below this level are refused. Defaults to baseline."),
            "warn": text("Pods below this level are warned about."),
            "audit": text("Pods below this level are noted in the audit."),
        },
    ),
    f"{_T}.Network": structure(
        "Who may talk to the tenant's pods.",
        {
            "isolation": flag(
                "Whether pods are reached from the tenant itself and the platform only. Defaults to true."
            ),
            "allowFrom": texts("Other tenants whose pods may reach this tenant's."),
        },
    ),
    f"{_T}.Secrets": structure(
        "How its secrets are kept.",
        {
            "plainInGit": text(
                "What happens to a push that contains a Secret in the clear: refuse, warn or allow. Defaults to refuse."
            ),
        },
    ),
    f"{_T}.Deletion": structure(
        "The tenant is marked for deletion. Take this away (moorage tenants restore) to keep it.",
        {
            "requestedAt": reference(f"{META}.Time", "When it was asked for. Set by the API server."),
            "requestedBy": text("Who asked for it. Set by the API server."),
            "keepDays": integer("For how many days everything is kept. Defaults to 7; 0 deletes at once."),
            "workloads": text("Keep leaves everything running meanwhile, Stop scales it to zero. Defaults to Keep."),
        },
    ),
}

_SPEC = structure(
    "What a team has, may and may use.",
    {
        "description": text("Who this is, in a sentence."),
        "owners": array(f"{_T}.Owner", "Who owns the tenant."),
        "members": array(f"{_T}.Member", "Who works in it."),
        "namespaces": reference(f"{_T}.NamespacePolicy", "What namespaces the owners may make."),
        "quota": reference(f"{_T}.Quota", "What all its namespaces may use together."),
        "resourceQuotas": array(f"{_CORE}.ResourceQuotaSpec", "ResourceQuotas that each of its namespaces gets."),
        "limits": array(f"{_CORE}.LimitRangeItem", "Limits (of a LimitRange) that each of its namespaces gets."),
        "defaultRequests": quantities("What a container requests that asks for nothing (cpu: 100m)."),
        "registries": reference(f"{_T}.Registries", "Where images may come from."),
        "nodePools": reference(f"{_T}.NodePools", "Which nodes pods run on."),
        "priorityClasses": reference(f"{_T}.PriorityClasses", "Which priority classes pods may name."),
        "storageClasses": reference(f"{_T}.StorageClasses", "Which storage classes claims may name."),
        "ingressClasses": reference(f"{_T}.IngressClasses", "Which ingress classes ingresses may name."),
        "hostnames": reference(f"{_T}.Hostnames", "Which host names ingresses may serve."),
        "serviceTypes": reference(f"{_T}.ServiceTypes", "Which services it may have."),
        "hostPaths": reference(f"{_T}.HostPaths", "Which paths of its node a pod may mount."),
        "hostPorts": reference(f"{_T}.HostPorts", "Which ports of its node a pod may listen on."),
        "podSecurity": reference(f"{_T}.PodSecurity", "Pod security levels of its namespaces."),
        "network": reference(f"{_T}.Network", "Who may talk to its pods."),
        "secrets": reference(f"{_T}.Secrets", "How its secrets are kept."),
        "suspended": flag("Whether owners and members are kept out. What runs goes on."),
        "deletion": reference(f"{_T}.Deletion", "Set while the tenant is marked for deletion."),
    },
)

_STATUS = structure(
    "What was last seen of a tenant.",
    {
        "phase": text("Active, Suspended, Deleting (marked, can be restored) or Terminating (cannot)."),
        "observedGeneration": integer("The generation that this status is about.", "int64"),
        "namespaces": texts("Its namespaces, by name."),
        "namespaceCount": integer("How many they are."),
        "usage": reference(f"{_T}.Usage", "What they use together."),
        "deleteAt": reference(f"{META}.Time", "When a tenant that is marked for deletion is deleted."),
        "conditions": array(f"{META}.Condition", "The latest observations of the tenant's state.", "type"),
    },
)

TENANCY_DEFINITIONS: Mapping[str, Schema] = {
    **_PARTS,
    f"{_T}.Usage": structure(
        "What is used, of what may be.",
        {"hard": quantities("The limits in force."), "used": quantities("What is charged to the tenant.")},
    ),
    f"{_T}.TenantSpec": _SPEC,
    f"{_T}.TenantStatus": _STATUS,
    f"{_T}.Tenant": kind(
        GROUP,
        "Tenant",
        "A team on the platform: its people, its namespaces, and what they may use.",
        {
            "spec": reference(f"{_T}.TenantSpec", "The desired state."),
            "status": reference(f"{_T}.TenantStatus", "The observed state."),
        },
    ),
    f"{_T}.TenantList": kind_list(GROUP, "Tenant", f"{_T}.Tenant"),
}
"""By name, with descriptions."""
