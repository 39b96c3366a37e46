"""Tokens of service accounts for pods: asked for when a volume wants one, and anew well before they end.

Source: KEP-1205; the kubelet's ``token_manager.go``: a token is replaced when 80 % of its life, or 24 hours, have passed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from moorage.client.api import ApiClient
from moorage.client.errors import ClientError
from moorage.client.resource import SERVICE_ACCOUNTS
from moorage_agent.timestamps import seconds

Pod = Mapping[str, Any]

LIFE_USED = 0.8
LONGEST_USE = 24 * 3600.0
JITTER = 10.0


class Wanted(NamedTuple):
    """A token that a volume asks for. ``audience`` "" is the API server's own."""

    audience: str = ""
    expiration: int = 3600


class _Issued(NamedTuple):
    token: str
    replace_at: float
    ends: float


class Tokens:
    """The tokens of the node's pods, by pod uid."""

    def __init__(self, client: ApiClient, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self._issued: dict[tuple[str, Wanted], _Issued] = {}

    async def read(self, pod: Pod, wanted: Iterable[Wanted]) -> dict[Wanted, str]:
        """A token for each. One that is due to be replaced is used on while the API does not answer. Raises ClientError."""
        every = list(wanted)
        found = await asyncio.gather(*(self._read(pod, one) for one in every))
        return dict(zip(every, found, strict=True))

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._issued = {key: one for key, one in self._issued.items() if key[0] != uid}

    async def _read(self, pod: Pod, wanted: Wanted) -> str:
        key = (pod["metadata"]["uid"], wanted)
        known = self._issued.get(key)
        now = self._clock()
        if known is not None and now < known.replace_at:
            return known.token
        try:
            issued = await self._request(pod, wanted)
        except ClientError:
            if known is not None and now < known.ends:
                return known.token
            raise
        self._issued[key] = issued
        return issued.token

    async def _request(self, pod: Pod, wanted: Wanted) -> _Issued:
        metadata = pod["metadata"]
        bound = {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]}
        spec = {
            "audiences": [wanted.audience] if wanted.audience else [],
            "expirationSeconds": wanted.expiration,
            "boundObjectRef": bound,
        }
        document = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        account = pod["spec"].get("serviceAccountName") or "default"
        asked = self._clock()
        answer = await self._client.create(
            SERVICE_ACCOUNTS, document, metadata["namespace"], name=account, subresource="token"
        )
        status = answer["status"]
        ends = seconds(status["expirationTimestamp"])
        use = min((ends - asked) * LIFE_USED, LONGEST_USE) - random.uniform(0, JITTER)  # noqa: S311 - jitter, not a secret
        return _Issued(str(status["token"]), asked + use, ends)
