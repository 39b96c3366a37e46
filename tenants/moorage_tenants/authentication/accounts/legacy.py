"""Secrets of type ``kubernetes.io/service-account-token``: filled with a token that lives as long as Secret and account.

Source: ``pkg/controller/serviceaccount/tokens_controller.go``. Here they are filled as they are written: there is no moment
without a token, and a Secret for an account that does not exist is refused instead of removed a little later.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Sequence
from typing import Any

from moorage.api.contracts import AdmissionRequest
from moorage.api.errors import forbidden
from moorage.resources.core.secrets import SECRET
from moorage.resources.core.serviceaccounts import SERVICE_ACCOUNT
from moorage.resources.kind import Document, FieldError
from moorage_tenants.authentication.accounts.claims import LEGACY_ID, Bound, Ref
from moorage_tenants.authentication.accounts.tokens import AccountTokens

TYPE = "kubernetes.io/service-account-token"
NAME = "kubernetes.io/service-account.name"
UID = "kubernetes.io/service-account.uid"


class TokenSecrets:
    """Implements ``moorage.api.contracts.Admission`` for such Secrets."""

    def __init__(self, tokens: AccountTokens, ca_pem: str) -> None:
        self._tokens = tokens
        self._ca_pem = ca_pem

    async def mutate(self, request: AdmissionRequest) -> None:
        """Fill in what is missing. Raises ApiError 403 where the account does not exist."""
        secret = request.document
        if request.kind.storage != SECRET.storage or secret is None or secret.get("type") != TYPE or request.dry_run:
            return
        metadata = secret["metadata"]
        annotations: dict[str, str] = metadata.get("annotations") or {}
        name = annotations.get(NAME)
        # A generated name is not known yet, so nothing could be bound to it: such a Secret stays as its user wrote it.
        if not name or not metadata.get("name"):
            return
        entry = await request.view.get(SERVICE_ACCOUNT, request.namespace, name)
        if entry is None or annotations.get(UID, entry.uid) != entry.uid:
            raise forbidden("", "secrets", request.name, f'service account "{request.namespace}/{name}" not found')
        metadata["annotations"] = {**annotations, UID: entry.uid}
        _own(metadata, name, entry.uid)
        data: dict[str, Any] = secret.setdefault("data", {})
        if not data.get("token"):
            token_id = str(uuid.uuid4())
            metadata["labels"] = {**(metadata.get("labels") or {}), LEGACY_ID: token_id}
            bound = Bound(request.namespace, Ref(name, entry.uid), secret=Ref(metadata["name"], ""), legacy_id=token_id)
            data["token"] = _encoded(await self._tokens.issue_legacy(bound))
        data.setdefault("ca.crt", _encoded(self._ca_pem))
        data.setdefault("namespace", _encoded(request.namespace))

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What had to be refused was."""
        return ()


def _own(metadata: Document, account: str, uid: str) -> None:
    """The Secret goes with its account: the garbage collector sees to it."""
    owners = metadata.get("ownerReferences") or []
    if all(owner.get("uid") != uid for owner in owners):
        owner = {"apiVersion": "v1", "kind": "ServiceAccount", "name": account, "uid": uid}
        metadata["ownerReferences"] = [*owners, owner]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
