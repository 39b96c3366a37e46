"""What each of Kubernetes' signers accepts. Pure.

Source: "Certificate Signing Requests", "Kubernetes signers"; ``pkg/apis/certificates/helpers.go``, ``signer.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from cryptography import x509
from cryptography.x509.oid import NameOID

CLIENT = "kubernetes.io/kube-apiserver-client"
NODE_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
NODE_SERVING = "kubernetes.io/kubelet-serving"
_NODES = "system:nodes"
_NODE = "system:node:"


def refusal(signer: str, request: x509.CertificateSigningRequest, usages: Collection[str]) -> str:
    """Why a signer of ours does not sign this, or ""."""
    return _CHECKS[signer](request, usages)


def _client(_request: x509.CertificateSigningRequest, usages: Collection[str]) -> str:
    for usage in usages:
        if usage not in ("digital signature", "key encipherment", "client auth"):
            return f"invalid usage for client certificate: {usage}"
    return "" if "client auth" in usages else "missing required usage for client certificate: client auth"


def _node_client(request: x509.CertificateSigningRequest, usages: Collection[str]) -> str:
    for kind, what in (
        (x509.DNSName, "DNS"),
        (x509.RFC822Name, "email"),
        (x509.IPAddress, "IP"),
        (x509.UniformResourceIdentifier, "URI"),
    ):
        if _alternatives(request, kind):
            return f"{what} subjectAltNames are not allowed"
    return _usages(usages, "client auth") or _of_a_node(request)


def _node_serving(request: x509.CertificateSigningRequest, usages: Collection[str]) -> str:
    if not _alternatives(request, x509.DNSName) and not _alternatives(request, x509.IPAddress):
        return "at least one DNS or IP subjectAltName is required"
    for kind, what in ((x509.RFC822Name, "email"), (x509.UniformResourceIdentifier, "URI")):
        if _alternatives(request, kind):
            return f"{what} subjectAltNames are not allowed"
    return _usages(usages, "server auth") or _of_a_node(request)


def _usages(usages: Collection[str], purpose: str) -> str:
    needed = {"digital signature", purpose}
    if set(usages) in (needed, needed | {"key encipherment"}):
        return ""
    return f"usages did not match [digital signature {purpose}]"


def _of_a_node(request: x509.CertificateSigningRequest) -> str:
    subject = request.subject
    organizations = [each.value for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    names = [str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if organizations != [_NODES]:
        return f"subject organization is not {_NODES}"
    return "" if names and names[-1].startswith(_NODE) else f"subject common name does not begin with {_NODE}"


def _alternatives(request: x509.CertificateSigningRequest, kind: type[x509.GeneralName]) -> bool:
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return any(isinstance(name, kind) for name in names)


_CHECKS: Mapping[str, Callable[[x509.CertificateSigningRequest, Collection[str]], str]] = {
    CLIENT: _client,
    NODE_CLIENT: _node_client,
    NODE_SERVING: _node_serving,
}
SIGNERS = frozenset(_CHECKS)
"""The signers that are ours."""
