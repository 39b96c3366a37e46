"""Everything about secrets that a server is made of, composed once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from moorage.api.config import Mount
from moorage.api.contracts import Admission, AdmissionRequest, Companion, Companions, Transactor
from moorage.store.contracts import KeyStore, Store
from moorage_tenants.sealed_secrets.keeping import Keeper
from moorage_tenants.sealed_secrets.keys import SealingKeys
from moorage_tenants.sealed_secrets.unsealing import Unsealing
from moorage_tenants.sealing.documents import DocumentSealer
from moorage_tenants.sealing.kek import KekSource
from moorage_tenants.sealing.rotation import KeyTable, Resealing, Rotation
from moorage_tenants.secret_service import routes
from moorage_tenants.secret_service.guard import Guard
from moorage_tenants.secret_service.history import HistoryEndpoints, Versions
from moorage_tenants.secret_service.rollout import PURPOSE, RolloutHashes
from moorage_tenants.secret_service.rotating import Intervals, Rotator
from moorage_tenants.secret_service.sealed import SealedEndpoints
from moorage_tenants.secret_service.servers import Servers


class SecretParts:
    """Made from where the key-encryption keys are kept; ``sealer`` is the store's sealer factory and must be called first."""

    def __init__(self, source: KekSource) -> None:
        self._source = source
        self._sealer: DocumentSealer | None = None
        self._rotator: Rotator | None = None

    def make_sealer(self, keys: KeyStore, cluster: str) -> DocumentSealer:
        """The store's sealer."""
        self._sealer = DocumentSealer(self._source, keys, cluster)
        self.sealing_keys = SealingKeys(self._sealer)
        self.unsealing = Unsealing(self.sealing_keys)
        return self._sealer

    @property
    def sealer(self) -> DocumentSealer:
        """The store's sealer, once the store is open."""
        assert self._sealer is not None, "the store is opened first"
        return self._sealer

    @property
    def companions(self) -> tuple[Companions, ...]:
        """What is written together with SealedSecrets; asked for once the store is open."""
        return (_LateUnsealing(self),)

    @property
    def admissions(self) -> tuple[Admission, ...]:
        """What is written into workloads that watch Secrets or ConfigMaps; asked for once the store is open."""
        return (RolloutHashes(lambda: self.sealer.derived(PURPOSE)),)

    async def check(self) -> None:
        """Open what this server must be able to open. Raises BadKek with one sentence, InvalidTag, Unavailable."""
        await self.sealer.root()
        await self.sealer.preload()
        await self.sealing_keys.pairs()

    def mounts(self, guard: Guard, store: Store, versions: Versions, transactor: Transactor) -> list[Mount]:
        """The endpoints."""
        sealed = SealedEndpoints(guard, self.sealing_keys, self.unsealing)
        return routes.mounts(sealed, HistoryEndpoints(guard, store, versions, transactor))

    def loops(
        self,
        store: Store,
        keys: KeyTable,
        resealing: Resealing,
        transactor: Transactor,
        server: str,
        intervals: Intervals | None = None,
    ) -> tuple[Rotator, Keeper]:
        """What runs in every server: rotations, and SealedSecrets that are kept as they say."""
        servers = Servers(store, transactor, self.sealer, server)
        rotation = Rotation(self.sealer, keys, resealing)
        rotator = Rotator(store, transactor, rotation, self.sealing_keys, servers, intervals)
        self._rotator = rotator

        async def is_leader() -> bool:
            return all(server < other for other in await servers.others())

        return rotator, Keeper(store, transactor, self.unsealing, is_leader)

    def metrics(self) -> Iterable[str]:
        """Lines of Prometheus text."""
        return () if self._rotator is None else self._rotator.metrics()


class _LateUnsealing:
    """The API is configured before the store, and with it the keys, are there."""

    def __init__(self, parts: SecretParts) -> None:
        self._parts = parts

    async def companions(self, request: AdmissionRequest, gone: bool) -> Sequence[Companion]:
        """Implements ``moorage.api.contracts.Companions``."""
        return await self._parts.unsealing.companions(request, gone)


async def run(loops: tuple[Rotator, Keeper], is_ready: Callable[[], bool]) -> None:
    """Run the loops until cancelled, from when the server is ready on: what they write needs its namespaces."""
    while not is_ready():  # noqa: ASYNC110 - the API has no event for it
        await asyncio.sleep(0.1)
    async with asyncio.TaskGroup() as group:
        for each in loops:
            group.create_task(each.run(), name=type(each).__name__)
