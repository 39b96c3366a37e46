"""What a server does about rights, composed in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from moorage.api.contracts import Admission, Companions
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.core.persistent_volumes import PERSISTENT_VOLUME
from moorage.resources.core.pods.declaration import POD
from moorage.resources.kind import Document
from moorage.resources.registry import Registry
from moorage.store.contracts import Store
from moorage_tenants.authorisation.aggregation import Aggregation
from moorage_tenants.authorisation.authorizer import RbacAuthorizer
from moorage_tenants.authorisation.defaults import default_documents
from moorage_tenants.authorisation.escalation import NoEscalation
from moorage_tenants.authorisation.index import open_index
from moorage_tenants.authorisation.node_restriction import NodeRestriction
from moorage_tenants.authorisation.nodes import NodeRole
from moorage_tenants.pod_index import PodIndex


class AccessParts:
    """The authorizer with what feeds it, the admissions and companions that go with it, and the default roles.

    ``run`` keeps the index of pods up to date until it is cancelled.
    """

    def __init__(self, authorizer: RbacAuthorizer, pods: PodIndex, registry: Registry) -> None:
        self.authorizer = authorizer
        self.pods = pods
        aggregation = Aggregation()
        self.admissions: Sequence[Admission] = (NodeRestriction(), aggregation, NoEscalation(authorizer))
        self.companions: Sequence[Companions] = (aggregation,)
        self.bootstrap: Sequence[Document] = default_documents(registry)

    async def run(self) -> None:
        """Follow the pods."""
        await self.pods.run()

    def close(self) -> None:
        """Stop following roles and bindings."""
        self.authorizer.index.close()


async def open_access(store: Store, registry: Registry) -> AccessParts:
    """The parts over the caches of ``store``. Raises Unavailable."""
    pods, volumes, namespaces = await asyncio.gather(
        *(store.cache(kind.storage) for kind in (POD, PERSISTENT_VOLUME, NAMESPACE))
    )
    index = PodIndex(pods)

    async def refresh() -> None:
        revision = await store.latest()
        await pods.wait(revision)
        await volumes.wait(revision)
        await namespaces.wait(revision)
        await index.caught_up()

    node = NodeRole(pods, index, refresh, volumes=volumes, namespaces=namespaces)
    return AccessParts(RbacAuthorizer(await open_index(store), node=node), index, registry)
