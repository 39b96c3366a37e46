"""The certificate authority of clients: reads its files, signs requests. Source: RFC 5280, ``pkg/controller/certificates``."""

from __future__ import annotations

import datetime
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

LONGEST = 365 * 86_400
SHORTEST = 600
"""Seconds for which a certificate is valid, at most and at least, whatever is asked for."""
SKEW = datetime.timedelta(minutes=5)
"""Certificates begin so long before they are made: clocks differ."""
_PURPOSES = {"client auth": ExtendedKeyUsageOID.CLIENT_AUTH, "server auth": ExtendedKeyUsageOID.SERVER_AUTH}
_KEY_USES = frozenset({"digital signature", "key encipherment"})
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class BadAuthority(ValueError):
    """The files are no certificate authority; the text says why."""


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA certificate and its key."""

    certificate: x509.Certificate
    key: _Key

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Authority:
        """From two files in PEM. Raises BadAuthority."""
        try:
            ca = x509.load_pem_x509_certificate(certificate.read_bytes())
            private = serialization.load_pem_private_key(key.read_bytes(), None)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise BadAuthority(f"{certificate} and {key} cannot be read: {error}") from None
        if not isinstance(private, _Key) or private.public_key() != ca.public_key():
            raise BadAuthority(f"{key} is not the key of {certificate}")
        return cls(ca, private)

    def sign(
        self, request: x509.CertificateSigningRequest, usages: Collection[str], seconds: int | None, now: float
    ) -> bytes:
        """A certificate (PEM) with the names of ``request``, for ``usages`` and as long as was asked for, within limits."""
        begins = datetime.datetime.fromtimestamp(now, datetime.UTC)
        lasts = datetime.timedelta(seconds=max(SHORTEST, min(LONGEST, LONGEST if seconds is None else seconds)))
        builder = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(self.certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins - SKEW)
            .not_valid_after(min(begins + lasts, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_PURPOSES[each] for each in usages if each in _PURPOSES]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if not _KEY_USES.isdisjoint(usages):
            # One that names no use is refused by TLS libraries; RFC 5280, section 4.2.1.3: at least one bit is set.
            builder = builder.add_extension(_key_usage(usages), critical=True)
        names = _alternative_names(request)
        if names is not None:
            builder = builder.add_extension(names, critical=False)
        algorithm = None if isinstance(self.key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        return builder.sign(self.key, algorithm).public_bytes(serialization.Encoding.PEM)


def _key_usage(usages: Collection[str]) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature="digital signature" in usages,
        key_encipherment="key encipherment" in usages,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(request: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        return request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
