"""The endpoints of SealedSecrets: public keys for everybody, opening for who may read the Secret, sealing anew."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from moorage.api.errors import bad_request, invalid
from moorage.resources.kind import Document, FieldError
from moorage.resources.sealed_secrets import GROUP, SEALED_SECRET
from moorage_tenants.sealed_secrets import cipher
from moorage_tenants.sealed_secrets.keys import SealingKeys
from moorage_tenants.sealed_secrets.unsealing import Unsealing
from moorage_tenants.secret_service.guard import Guard, body_of


class SealedEndpoints:
    """The handlers."""

    def __init__(self, guard: Guard, keys: SealingKeys, unsealing: Unsealing) -> None:
        self._guard = guard
        self._keys = keys
        self._unsealing = unsealing

    async def public_keys(self, request: Request) -> JSONResponse:
        """GET: the public keys, the one to seal to first. Whoever is known may have them."""
        await self._guard.identify(request)
        items = await self._keys.published()
        return JSONResponse({"kind": "SealingKeyList", "apiVersion": f"{GROUP}/v1", "metadata": {}, "items": items})

    async def unseal(self, request: Request) -> JSONResponse:
        """POST a SealedSecret: the Secret that it holds. Asked for as a read of that Secret, and written down as one."""
        namespace, name = place(request)
        await self._guard.allow(request, "get", "", "secrets", namespace, name, "unseal")
        secret = await self._unsealing.secret_of(await self._sealed(request, namespace, name))
        del secret["metadata"]["ownerReferences"]
        return JSONResponse(secret, headers={"cache-control": "no-store"})

    async def reseal(self, request: Request) -> JSONResponse:
        """POST a SealedSecret: the same, sealed to the current key. Shows no value, so it asks for no right to read."""
        namespace, name = place(request)
        await self._guard.allow(request, "create", SEALED_SECRET.group, SEALED_SECRET.plural, namespace, name, "reseal")
        sealed = await self._sealed(request, namespace, name)
        public = (await self._keys.pairs()).public
        values = await self._unsealing.open(sealed)
        sealed["spec"]["encryptedData"] = {
            key: cipher.seal(public, value, namespace=namespace, name=name, key=key) for key, value in values.items()
        }
        return JSONResponse(sealed)

    async def _sealed(self, request: Request, namespace: str, name: str) -> Document:
        """The body, which must be the SealedSecret of the URL: what a value is bound to is never the body's own word."""
        document = await body_of(request)
        metadata = document.get("metadata")
        if document.get("kind") != SEALED_SECRET.kind or not isinstance(metadata, dict):
            raise bad_request(f"the body must be a {SEALED_SECRET.kind} of {SEALED_SECRET.api_version}")
        if metadata.get("name") != name or metadata.get("namespace", namespace) != namespace:
            raise bad_request(f"the SealedSecret's name and namespace do not match the URL ({namespace}/{name})")
        spec = document.get("spec")
        values: Any = spec.get("encryptedData") if isinstance(spec, dict) else None
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            error = FieldError("spec.encryptedData", "FieldValueRequired", "Required value: a map of sealed texts")
            raise invalid(SEALED_SECRET.group, SEALED_SECRET.kind, name, [error])
        assert isinstance(spec, dict)
        SEALED_SECRET.default(document)
        errors = SEALED_SECRET.validate({**document, "metadata": {"name": name, "namespace": namespace}})
        if errors:
            raise invalid(SEALED_SECRET.group, SEALED_SECRET.kind, name, errors)
        return {**document, "metadata": {**metadata, "namespace": namespace}}


def place(request: Request) -> tuple[str, str]:
    """(namespace, name) of the URL."""
    return str(request.path_params["namespace"]), str(request.path_params["name"])
