"""The Secret of a SealedSecret: made, changed and checked in the commit that writes the SealedSecret itself."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from moorage.api.contracts import AdmissionRequest, Companion, View
from moorage.api.errors import ApiError, conflict, invalid
from moorage.resources.core.secrets import SECRET
from moorage.resources.kind import Document, FieldError
from moorage.resources.sealed_secrets import GROUP, SEALED_SECRET
from moorage_tenants.sealed_secrets import cipher
from moorage_tenants.sealed_secrets.keys import SealingKeys

ADOPT = f"{GROUP}/adopt"
"""Annotation of a Secret that stands in a SealedSecret's way: "true" lets it be taken over."""


class Unsealing:
    """Implements ``moorage.api.contracts.Companions``."""

    def __init__(self, keys: SealingKeys) -> None:
        self._keys = keys

    async def companions(self, request: AdmissionRequest, gone: bool) -> Sequence[Companion]:
        """The Secret. Raises ApiError 422 for a value that does not open here, 409 for a Secret of somebody else."""
        sealed = request.document
        if request.kind.storage != SEALED_SECRET.storage or request.subresource or sealed is None or gone:
            return ()
        if "deletionTimestamp" in sealed["metadata"]:
            return ()
        name = sealed["metadata"]["name"]
        await refuse_foreign(request.view, sealed)
        return [Companion("replace", SECRET, request.namespace, name, await self.secret_of(sealed))]

    async def secret_of(self, sealed: Document) -> Document:
        """The Secret that ``sealed`` holds, owned by it. Raises ApiError 422."""
        metadata = sealed["metadata"]
        values = await self.open(sealed)
        template: Mapping[str, Any] = sealed["spec"].get("template") or {}
        given: Mapping[str, Any] = template.get("metadata") or {}
        owner = {
            "apiVersion": SEALED_SECRET.api_version,
            "kind": SEALED_SECRET.kind,
            "name": metadata["name"],
            "uid": metadata.get("uid", ""),
            "controller": True,
            "blockOwnerDeletion": True,
        }
        secret: Document = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                **{part: dict(given[part]) for part in ("labels", "annotations") if given.get(part)},
                "ownerReferences": [owner],
            },
            "type": template.get("type") or "Opaque",
            "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
        }
        if template.get("immutable"):
            secret["immutable"] = True
        return secret

    async def open(self, sealed: Document) -> dict[str, bytes]:
        """The values, for the namespace and name of the document. Raises ApiError 422 naming each that does not open."""
        metadata = sealed["metadata"]
        values: dict[str, bytes] = {}
        errors: list[FieldError] = []
        for key, text in (sealed["spec"].get("encryptedData") or {}).items():
            try:
                pairs = await self._keys.pairs(wanted=cipher.sealed_with(text))
                values[key] = cipher.unseal(
                    pairs.privates, text, namespace=metadata["namespace"], name=metadata["name"], key=key
                )
            except cipher.Unreadable as error:
                path = f"spec.encryptedData[{key}]"
                errors.append(FieldError(path, "FieldValueInvalid", f'Invalid value: "<sealed>": {error}'))
        if errors:
            raise invalid(SEALED_SECRET.group, SEALED_SECRET.kind, metadata["name"], errors)
        return values


async def refuse_foreign(view: View, sealed: Document) -> None:
    """Raises ApiError 409 where a Secret of this name is there and is not this SealedSecret's."""
    metadata = sealed["metadata"]
    entry = await view.get(SECRET, metadata["namespace"], metadata["name"])
    if entry is None:
        return
    found = entry.document()["metadata"]
    owners = found.get("ownerReferences") or ()
    if any(owner.get("uid") == metadata.get("uid") for owner in owners):
        return
    controller = next((owner for owner in owners if owner.get("controller")), None)
    if controller is None and (found.get("annotations") or {}).get(ADOPT) == "true":
        return
    raise _foreign(metadata["namespace"], metadata["name"], controller)


def _foreign(namespace: str, name: str, controller: Mapping[str, Any] | None) -> ApiError:
    if controller is not None:
        detail = f'the Secret "{name}" belongs to {controller["kind"]} "{controller["name"]}"; choose another name'
    else:
        detail = (
            f'the Secret "{name}" is there already and was not made by this SealedSecret; delete it, or let it be taken over: '
            f"kubectl annotate secret {name} -n {namespace} {ADOPT}=true"
        )
    return conflict(SEALED_SECRET.group, SEALED_SECRET.plural, name, detail)
