"""All kinds that are built in, in the order in which discovery lists them."""

from __future__ import annotations

from moorage.resources import (
    apps,
    authentication,
    authorization,
    coordination,
    discovery,
    events,
    flowcontrol,
    gitops,
    ingress,
    moorage,
    network_policies,
    networking,
    node,
    rbac,
    scheduling,
    sealed_secrets,
    service_addresses,
    storage,
    tenancy,
)
from moorage.resources.core import (
    configmaps,
    endpoints,
    limit_ranges,
    namespaces,
    nodes,
    persistent_volume_claims,
    persistent_volumes,
    quotas,
    replication_controllers,
    secrets,
    serviceaccounts,
    services,
)
from moorage.resources.core import events as core_events
from moorage.resources.core.pods import declaration as pods
from moorage.resources.registry import Registry

BUILTIN = (
    configmaps.CONFIG_MAP,
    endpoints.ENDPOINTS,
    core_events.EVENT,
    limit_ranges.LIMIT_RANGE,
    namespaces.NAMESPACE,
    nodes.NODE,
    persistent_volume_claims.PERSISTENT_VOLUME_CLAIM,
    persistent_volumes.PERSISTENT_VOLUME,
    pods.POD,
    replication_controllers.REPLICATION_CONTROLLER,
    quotas.RESOURCE_QUOTA,
    secrets.SECRET,
    serviceaccounts.SERVICE_ACCOUNT,
    services.SERVICE,
    apps.DEPLOYMENT,
    apps.REPLICA_SET,
    authentication.TOKEN_REVIEW,
    authorization.SELF_SUBJECT_REVIEW,
    authorization.LOCAL_SUBJECT_ACCESS_REVIEW,
    authorization.SELF_SUBJECT_ACCESS_REVIEW,
    authorization.SELF_SUBJECT_RULES_REVIEW,
    authorization.SUBJECT_ACCESS_REVIEW,
    coordination.LEASE,
    discovery.ENDPOINT_SLICE,
    events.EVENT,
    flowcontrol.FLOW_SCHEMA,
    flowcontrol.PRIORITY_LEVEL,
    gitops.APPLICATION,
    gitops.REPOSITORY,
    moorage.BATCH,
    moorage.TRANSACTION,
    node.RUNTIME_CLASS,
    scheduling.PRIORITY_CLASS,
    networking.NETWORK_POLICY,
    network_policies.POLICY_RULES,
    service_addresses.NODE_PORT,
    ingress.INGRESS_CLASS,
    ingress.INGRESS,
    service_addresses.IP_ADDRESS,
    service_addresses.SERVICE_CIDR,
    rbac.CLUSTER_ROLE_BINDING,
    rbac.CLUSTER_ROLE,
    rbac.ROLE_BINDING,
    rbac.ROLE,
    sealed_secrets.KEY_ROTATION,
    sealed_secrets.SEALED_SECRET,
    storage.STORAGE_CLASS,
    storage.VOLUME_ATTRIBUTES_CLASS,
    tenancy.TENANT,
)


def builtin_registry() -> Registry:
    """A registry with every built-in kind."""
    return Registry(BUILTIN)
