"""Pods run as a ServiceAccount: the namespace's default unless they say otherwise, one that exists, with a token at hand.

Source: ``plugin/pkg/admission/serviceaccount``, KEP-1205 (projected tokens), KEP-2799.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from moorage.api.contracts import AdmissionRequest
from moorage.api.errors import forbidden
from moorage.api.writing.strategy import generate_name, suffix_of
from moorage.resources.core.pods.declaration import POD
from moorage.resources.core.serviceaccounts import SERVICE_ACCOUNT
from moorage.resources.kind import Document, FieldError
from moorage_tenants.authentication.accounts import mountable
from moorage_tenants.authentication.accounts.furniture import DEFAULT, ROOT_CA
from moorage_tenants.limits.reading import Decoded

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
EXPIRATION_SECONDS = 3607
"""Kubernetes' own odd number: it tells tokens that were mounted without being asked for."""
_MIRROR = "kubernetes.io/config.mirror"


class AccountAdmission:
    """Implements ``moorage.api.contracts.Admission`` for Pods. ``mount``: whether nodes can mount tokens."""

    def __init__(self, *, mount: bool = True) -> None:
        self._mount = mount
        self._accounts = Decoded()

    async def mutate(self, request: AdmissionRequest) -> None:
        """Name the account and mount its token. Raises ApiError 403 where the account does not exist or does not let the pod
        have what it refers to.
        """
        pod = request.document
        if request.kind.storage != POD.storage or request.operation != "CREATE" or request.subresource or pod is None:
            return
        spec: dict[str, Any] = pod.setdefault("spec", {})
        if _MIRROR in (pod["metadata"].get("annotations") or {}):
            # Its spec is that of a file on the node: not to be changed.
            _refuse(request, mountable.mirror_refusal(spec))
            return
        name = spec.get("serviceAccountName") or DEFAULT
        spec["serviceAccountName"] = spec["serviceAccount"] = name
        account = await self._account(request, name)
        if self._mount and _automount(spec, account):
            mount(spec, name)
        if not spec.get("imagePullSecrets") and account.get("imagePullSecrets"):
            spec["imagePullSecrets"] = deepcopy(account["imagePullSecrets"])
        if mountable.enforced(account):
            _refuse(request, mountable.refusal(spec, account))

    async def validate(self, request: AdmissionRequest) -> Sequence[FieldError]:
        """What had to be refused was."""
        return ()

    async def _account(self, request: AdmissionRequest, name: str) -> Document:
        account = await self._accounts.get(request.view, SERVICE_ACCOUNT, request.namespace, name)
        if account is None:
            where = f"{request.namespace}/{name}"
            reason = f'error looking up service account {where}: serviceaccount "{name}" not found'
            raise forbidden("", "pods", request.name, reason)
        return account


def _refuse(request: AdmissionRequest, why: str) -> None:
    """Raises ApiError 403 where there is a reason."""
    if why:
        raise forbidden("", "pods", request.name, why)


def _automount(spec: Document, account: Document) -> bool:
    asked = spec.get("automountServiceAccountToken")
    return bool(account.get("automountServiceAccountToken", True) if asked is None else asked)


def mount(spec: Document, account: str = DEFAULT) -> None:
    """Mount the account's token into every container that has nothing at its place; idempotent."""
    volumes: list[dict[str, Any]] = spec.get("volumes") or []
    given = [volume["name"] for volume in volumes if volume["name"].startswith(VOLUME_PREFIX) and "projected" in volume]
    name = given[0] if given else _volume_name(account, {volume["name"] for volume in volumes})
    mounted = False
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        mounts = container.get("volumeMounts") or []
        if all(each.get("mountPath") != MOUNT_PATH for each in mounts):
            container["volumeMounts"] = [*mounts, {"name": name, "readOnly": True, "mountPath": MOUNT_PATH}]
            mounted = True
    if mounted and not given:
        spec["volumes"] = [*volumes, {"name": name, "projected": _projected()}]


def _volume_name(account: str, taken: set[str]) -> str:
    """A name that pods of one template share: what is known of a spec that was seen before holds for the next one, too."""
    name = VOLUME_PREFIX + suffix_of(account)
    return generate_name(VOLUME_PREFIX) if name in taken else name


def _projected() -> Document:
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "sources": [
            {"serviceAccountToken": {"expirationSeconds": EXPIRATION_SECONDS, "path": "token"}},
            {"configMap": {"name": ROOT_CA, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [namespace]}},
        ],
        "defaultMode": 0o644,
    }
