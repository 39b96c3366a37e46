"""All controllers in one task group: what the process ``moorage controllers`` runs while it leads."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections.abc import Callable

from moorage.client.api import ApiClient
from moorage.client.informer import Informers
from moorage.controllers.certificates.controller import CertificatesController
from moorage.controllers.context import Context, Options
from moorage.controllers.deployment.controller import DeploymentController
from moorage.controllers.disruption.controller import DisruptionController
from moorage.controllers.endpoints.controller import EndpointsController
from moorage.controllers.endpoints.servers import ApiServersController
from moorage.controllers.garbage.collector import GarbageCollector
from moorage.controllers.ipam.controller import NodeIpamController
from moorage.controllers.loadbalancers.controller import LoadBalancerController
from moorage.controllers.namespaces.lifecycle import NamespaceController
from moorage.controllers.namespaces.root_ca import RootCaController
from moorage.controllers.namespaces.service_account import ServiceAccountController
from moorage.controllers.nodes.evictor import TaintEvictionController
from moorage.controllers.nodes.lifecycle import NodeLifecycleController
from moorage.controllers.nodes.pod_gc import PodGarbageCollector
from moorage.controllers.policies.controller import NetworkPolicyController
from moorage.controllers.protection.controller import ProtectionController
from moorage.controllers.replicaset.controller import ReplicaSetController, ReplicationControllerController
from moorage.controllers.rollouts.controller import RolloutController
from moorage.controllers.servicecidrs.controller import ServiceRangesController
from moorage.controllers.tenants.controller import TenantController
from moorage.controllers.volumes.controller import VolumesController
from moorage.controllers.volumes.ephemeral import EphemeralVolumesController

log = logging.getLogger(__name__)

LEASE = "moorage-controllers"
"""The Lease in ``kube-system`` that elects the process that runs controllers, scheduler and GitOps engine."""

_COLLECTIONS = (20_000, 20, 50)
"""Python's cycle collector walks the caches, which hold no cycles: rarely is often enough."""
_ALL = (
    DeploymentController,
    ReplicaSetController,
    ReplicationControllerController,
    NamespaceController,
    ServiceAccountController,
    RootCaController,
    NodeLifecycleController,
    TaintEvictionController,
    PodGarbageCollector,
    EndpointsController,
    ApiServersController,
    NodeIpamController,
    ServiceRangesController,
    NetworkPolicyController,
    LoadBalancerController,
    TenantController,
    CertificatesController,
    DisruptionController,
    ProtectionController,
    VolumesController,
    EphemeralVolumesController,
    RolloutController,
    GarbageCollector,  # last: it follows what is left with metadata only
)


async def run(
    client: ApiClient,
    options: Options | None = None,
    *,
    informers: Informers | None = None,
    clock: Callable[[], float] = time.time,
    ready: Callable[[], None] | None = None,
) -> None:
    """Run every controller until cancelled; ``ready`` is called when all caches are filled. An exception out of here is a
    defect: end the process.

    With ``informers`` the caches are shared with others of this process, who then run them; without, they are run here.
    """
    shared = informers if informers is not None else Informers(client)
    gc.set_threshold(*_COLLECTIONS)
    context = Context(client, shared, options or Options(), clock)
    controllers = [make(context) for make in _ALL]
    async with asyncio.TaskGroup() as group:
        if informers is None:
            group.create_task(shared.run(), name="informers")
        for controller in controllers:
            group.create_task(controller.run(), name=type(controller).__name__)
        await shared.wait_synced()
        log.info("controllers are running")
        if ready is not None:
            ready()
