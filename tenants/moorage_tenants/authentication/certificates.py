"""Client certificates: CN is the user, O are the groups. Source: Kubernetes, "X509 client certificates".

The TLS layer has verified chain, dates and purpose against the client CA; dates are looked at again at each use, since a
connection may outlive them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from moorage.api.contracts import Identity
from moorage_tenants.names import AUTHENTICATED

CACHED = 1000


class Certificates:
    """Reads each certificate once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[Identity | None, float, float]] = OrderedDict()

    def identity(self, der: bytes) -> Identity | None:
        """Who holds the certificate; None where it names nobody, is out of date, or is for another purpose."""
        known = self._known.get(der)
        if known is None:
            known = self._known[der] = _read(der)
            while len(self._known) > CACHED:
                self._known.popitem(last=False)
        identity, begins, ends = known
        return identity if begins <= self._clock() < ends else None


def _read(der: bytes) -> tuple[Identity | None, float, float]:
    try:
        certificate = x509.load_der_x509_certificate(der)
        begins, ends = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        groups = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    except ValueError:
        return None, 0.0, 0.0
    if not names or not names[0].value or not _for_clients(certificate):
        return None, begins, ends
    members = frozenset(str(group.value) for group in groups if group.value)
    extra = {"authentication.kubernetes.io/credential-id": (f"X509SHA256={_fingerprint(certificate)}",)}
    return Identity(str(names[0].value), members | {AUTHENTICATED}, extra=extra), begins, ends


def _fingerprint(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex()


def _for_clients(certificate: x509.Certificate) -> bool:
    """Whether its purpose says "client": a server's certificate of the same CA is nobody's login."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in usage
