"""Everything about secrets that a server is made of, composed once."""

from __future__ import annotations

from moorage.api.contracts import Companions
from moorage.store.contracts import KeyStore
from moorage_tenants.sealed_secrets.keys import SealingKeys
from moorage_tenants.sealed_secrets.unsealing import Unsealing
from moorage_tenants.sealing.documents import DocumentSealer
from moorage_tenants.sealing.kek import KekSource


class SecretParts:
    """Made from where the key-encryption keys are kept; ``sealer`` is the store's sealer factory and must be called first."""

    def __init__(self, source: KekSource) -> None:
        self._source = source
        self._sealer: DocumentSealer | None = None

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
        """What is written together with SealedSecrets."""
        return (self.unsealing,)

    async def check(self) -> None:
        """Open what this server must be able to open. Raises BadKek with one sentence, InvalidTag, Unavailable."""
        await self.sealer.root()
        await self.sealing_keys.pairs()
