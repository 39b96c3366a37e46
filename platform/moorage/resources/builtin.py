"""All kinds that are built in, in the order in which discovery lists them."""

from __future__ import annotations

from moorage.resources import apps, coordination, events, gitops, moorage, storage, tenancy
from moorage.resources.core import (
    configmaps,
    namespaces,
    nodes,
    persistent_volume_claims,
    persistent_volumes,
    secrets,
    serviceaccounts,
    services,
)
from moorage.resources.core import events as core_events
from moorage.resources.core.pods import declaration as pods
from moorage.resources.registry import Registry

BUILTIN = (
    configmaps.CONFIG_MAP,
    core_events.EVENT,
    namespaces.NAMESPACE,
    nodes.NODE,
    persistent_volume_claims.PERSISTENT_VOLUME_CLAIM,
    persistent_volumes.PERSISTENT_VOLUME,
    pods.POD,
    secrets.SECRET,
    serviceaccounts.SERVICE_ACCOUNT,
    services.SERVICE,
    apps.DEPLOYMENT,
    apps.REPLICA_SET,
    coordination.LEASE,
    events.EVENT,
    gitops.APPLICATION,
    gitops.REPOSITORY,
    moorage.BATCH,
    moorage.TRANSACTION,
    storage.STORAGE_CLASS,
    storage.VOLUME_ATTRIBUTES_CLASS,
    tenancy.TENANT,
)


def builtin_registry() -> Registry:
    """A registry with every built-in kind."""
    return Registry(BUILTIN)
