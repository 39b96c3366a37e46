"""What every namespace has from its first moment: the ServiceAccount ``default``, and the CA that its pods trust.

Written in the same commit as the namespace, so that a pod that follows at once, or in the same push, finds both. Controllers make
them again where somebody takes them away (``moorage.controllers.namespaces``).
"""

from __future__ import annotations

from collections.abc import Sequence

from moorage.api.contracts import AdmissionRequest, Companion
from moorage.resources.core.configmaps import CONFIG_MAP
from moorage.resources.core.namespaces import NAMESPACE
from moorage.resources.core.serviceaccounts import SERVICE_ACCOUNT
from moorage.resources.kind import Document

DEFAULT = "default"
ROOT_CA = "kube-root-ca.crt"
DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal "
    "service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)


class AccountFurniture:
    """Implements ``moorage.api.contracts.Companions`` for new Namespaces. ``ca_pem`` is what pods verify this API with."""

    def __init__(self, ca_pem: str) -> None:
        self._ca_pem = ca_pem

    async def companions(self, request: AdmissionRequest, gone: bool) -> Sequence[Companion]:
        """The account and the CA of a namespace that is being made."""
        if request.kind.storage != NAMESPACE.storage or request.operation != "CREATE" or request.document is None:
            return ()
        namespace = request.document["metadata"]["name"]
        return [
            Companion("replace", SERVICE_ACCOUNT, namespace, DEFAULT, account(namespace)),
            Companion("replace", CONFIG_MAP, namespace, ROOT_CA, root_ca(namespace, self._ca_pem)),
        ]


def account(namespace: str) -> Document:
    """The default ServiceAccount."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"namespace": namespace, "name": DEFAULT}}


def root_ca(namespace: str, ca_pem: str) -> Document:
    """The ConfigMap with the CA (``pkg/controller/certificates/rootcacertpublisher``)."""
    annotations = {"kubernetes.io/description": DESCRIPTION}
    metadata = {"namespace": namespace, "name": ROOT_CA, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": ca_pem}}
