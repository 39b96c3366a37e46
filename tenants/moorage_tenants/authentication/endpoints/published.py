"""What others need in order to verify ServiceAccount tokens, and what ``moorage login`` needs before anybody has logged in.

Source: KEP-1393 (service account issuer discovery), OpenID Connect Discovery 1.0. ``/openid/v1/jwks`` and the metadata ask the
authorizer, as in Kubernetes; ``/.well-known/moorage`` is open to all: it says nothing that a login page would not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from moorage_tenants.authentication.accounts.keys import ALGORITHM
from moorage_tenants.authentication.accounts.tokens import AccountTokens
from moorage_tenants.authentication.endpoints.answering import Door, answering
from moorage_tenants.authentication.oidc.issuers import Issuers

METADATA = "/.well-known/openid-configuration"
JWKS = "/openid/v1/jwks"
LOGIN = "/.well-known/moorage"
_CACHE = {"Cache-Control": "public, max-age=3600"}


class Published:
    """The handlers. ``address`` is ``HOST:PORT`` where verifiers reach this API."""

    def __init__(self, accounts: AccountTokens, issuers: Issuers, door: Door, address: str) -> None:
        self._accounts = accounts
        self._issuers = issuers
        self._door = door
        self._address = address

    def router(self) -> APIRouter:
        """The routes, to be mounted by the composition root."""
        router = APIRouter()
        for path, handler in ((METADATA, self._metadata), (JWKS, self._jwks), (LOGIN, self._login)):
            router.add_api_route(path, answering(handler), methods=["GET"], include_in_schema=False)
        return router

    async def _metadata(self, request: Request) -> JSONResponse:
        await self._door.require_path(request)
        document = {
            "issuer": self._accounts.issuer,
            "jwks_uri": f"https://{self._address}{JWKS}",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }
        return JSONResponse(document, headers=_CACHE)

    async def _jwks(self, request: Request) -> JSONResponse:
        await self._door.require_path(request)
        await self._accounts.keys.signer()
        return JSONResponse(self._accounts.keys.jwks(), headers=_CACHE, media_type="application/jwk-set+json")

    async def _login(self, _request: Request) -> JSONResponse:
        issuers: Sequence[dict[str, Any]] = [
            {
                "name": config.login.name,
                "issuer": config.url,
                "clientID": config.login.client_id,
                "scopes": list(config.login.scopes),
                **({"certificateAuthority": config.ca_pem} if config.ca_pem else {}),
            }
            for config in self._issuers.configs
            if config.login is not None
        ]
        return JSONResponse({"kind": "LoginMethods", "apiVersion": "moorage.io/v1", "issuers": issuers})
