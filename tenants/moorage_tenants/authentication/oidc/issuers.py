"""All identity providers that are configured; they may change while the server runs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from moorage_tenants.authentication import jwt
from moorage_tenants.authentication.oidc.config import IssuerConfig
from moorage_tenants.authentication.oidc.issuer import Issuer
from moorage_tenants.authentication.verified import Verified


class Issuers:
    """Implements ``moorage_tenants.authentication.verified.SignedTokens`` over several providers."""

    def __init__(
        self,
        configs: Sequence[IssuerConfig] = (),
        audiences: Sequence[str] = (),
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._audiences = tuple(audiences)
        self._clock = clock
        self._issuers: dict[str, Issuer] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self.configure(configs)

    @property
    def configs(self) -> Sequence[IssuerConfig]:
        """What is in force."""
        return [issuer.config for issuer in self._issuers.values()]

    def configure(self, configs: Sequence[IssuerConfig]) -> None:
        """Take over a new list; an issuer that did not change keeps its keys."""
        before = self._issuers
        self._issuers = {
            config.url: before[config.url]
            if config.url in before and before[config.url].config == config
            else Issuer(config, self._audiences, clock=self._clock)
            for config in configs
        }
        for url, issuer in before.items():
            if self._issuers.get(url) is not issuer:
                task = asyncio.get_running_loop().create_task(issuer.close())
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    def knows(self, issuer: str) -> bool:
        """Whether ``issuer`` is configured."""
        return issuer in self._issuers

    async def verify(self, token: jwt.Unverified, audiences: Sequence[str] = ()) -> Verified | None:
        """The identity behind a token of a configured issuer. ``audiences`` are for tokens that we issue ourselves: a
        provider's tokens are for this API or for nobody here.
        """
        return await self._issuers[token.issuer].verify(token)

    async def alive(self, verified: Verified) -> bool:
        """Time alone ends a provider's token."""
        return True

    async def close(self) -> None:
        """Let go of all connections."""
        for issuer in self._issuers.values():
            await issuer.close()
        await asyncio.gather(*self._leaving)
