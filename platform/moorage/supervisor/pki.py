"""The installation's own certificate authorities and serving certificate: EC P-256, renewed before they expire.

Servers and clients have an authority each: a certificate that was signed for a client is of no use as a server's.

Source: RFC 5280 for the extensions; strict verifiers (Python 3.13, Go) ask for key identifiers and key usage.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from moorage.supervisor.addresses import is_address
from moorage.supervisor.layout import SetupError, write_private

CA_DAYS = 3650
SERVER_DAYS = 397
RENEW_DAYS = 90
"""A serving certificate with less left is replaced at the next start."""
_SKEW = datetime.timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pki:
    """Files of the authorities and of the serving certificate."""

    directory: Path

    @property
    def ca_certificate(self) -> Path:
        """What clients trust."""
        return self.directory / "ca.crt"

    @property
    def ca_key(self) -> Path:
        """What signs."""
        return self.directory / "ca.key"

    @property
    def client_ca_certificate(self) -> Path:
        """What clients' certificates are verified with."""
        return self.directory / "client-ca.crt"

    @property
    def client_ca_key(self) -> Path:
        """What signs them."""
        return self.directory / "client-ca.key"

    @property
    def certificate(self) -> Path:
        """What the server shows."""
        return self.directory / "server.crt"

    @property
    def key(self) -> Path:
        """The server's key."""
        return self.directory / "server.key"


def ensure(directory: Path, names: Sequence[str], now: datetime.datetime | None = None) -> Pki:
    """Authorities and serving certificate for ``names``, made or renewed where needed. Raises SetupError."""
    pki = Pki(directory)
    now = now or datetime.datetime.now(datetime.UTC)
    try:
        if not (pki.ca_certificate.exists() and pki.ca_key.exists()):
            _make_ca(pki.ca_certificate, pki.ca_key, "moorage-ca", now)
        _ensure_client_ca(pki, now)
        ca = x509.load_pem_x509_certificate(pki.ca_certificate.read_bytes())
        if ca.not_valid_after_utc <= now:
            raise SetupError(
                f"the certificate authority {pki.ca_certificate} expired on {ca.not_valid_after_utc:%Y-%m-%d}; "
                f"remove {directory} for a new one (then hand the new kubeconfig and join tokens out)"
            )
        if not _serves(pki, ca, names, now):
            _make_server(pki, ca, names, now)
    except (OSError, ValueError) as error:
        raise SetupError(f"the certificates in {directory} cannot be used: {error}") from None
    return pki


def fingerprint(pem: bytes) -> str:
    """SHA-256 of a certificate (DER), hex: what a join token carries. Raises ValueError for what is no certificate."""
    certificate = x509.load_pem_x509_certificate(pem)
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def _serves(pki: Pki, ca: x509.Certificate, names: Sequence[str], now: datetime.datetime) -> bool:
    """Whether the serving certificate is there, ours, valid for long enough, and covers every name."""
    if not (pki.certificate.exists() and pki.key.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(pki.certificate.read_bytes())
    if certificate.not_valid_after_utc - now < datetime.timedelta(days=RENEW_DAYS):
        return False
    try:
        certificate.verify_directly_issued_by(ca)
    except Exception:  # noqa: BLE001 - the library raises several unrelated types, and each means "not signed by ours"
        return False
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    covered = {*held.get_values_for_type(x509.DNSName), *map(str, held.get_values_for_type(x509.IPAddress))}
    return covered >= {str(ipaddress.ip_address(name)) if is_address(name) else name for name in names}


def _ensure_client_ca(pki: Pki, now: datetime.datetime) -> None:
    """Make it, and make it anew before it ends. The file keeps those before it for as long as they hold: what they signed is
    good until then.
    """
    file, key = pki.client_ca_certificate, pki.client_ca_key
    held = x509.load_pem_x509_certificates(file.read_bytes()) if file.exists() else []
    if held and key.exists():
        ours = serialization.load_pem_private_key(key.read_bytes(), None).public_key() == held[0].public_key()
        if ours and held[0].not_valid_after_utc - now > datetime.timedelta(days=RENEW_DAYS):
            return
    kept = [each.public_bytes(serialization.Encoding.PEM) for each in held if each.not_valid_after_utc > now]
    _make_ca(file, key, "moorage-client-ca", now, b"".join(kept))


def _make_ca(certificate_file: Path, key_file: Path, title: str, now: datetime.datetime, before: bytes = b"") -> None:
    """``before``: certificates (PEM) to keep behind the new one."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{title}@{int(now.timestamp())}")])
    usage = _usage(signs=True)
    certificate = (
        _builder(name, name, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private(key_file, _private(key))
    write_private(certificate_file, certificate.public_bytes(serialization.Encoding.PEM) + before)
    certificate_file.chmod(0o644)


def _make_server(pki: Pki, ca: x509.Certificate, names: Sequence[str], now: datetime.datetime) -> None:
    ca_key = serialization.load_pem_private_key(pki.ca_key.read_bytes(), None)
    if not isinstance(ca_key, ec.EllipticCurvePrivateKey):
        raise ValueError(f"{pki.ca_key} is no elliptic curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "moorage-server")])
    alternative = [
        x509.IPAddress(ipaddress.ip_address(name)) if is_address(name) else x509.DNSName(name) for name in names
    ]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    certificate = (
        _builder(subject, ca.subject, key.public_key(), now, SERVER_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .add_extension(issuer, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_private(pki.key, _private(key))
    write_private(pki.certificate, certificate.public_bytes(serialization.Encoding.PEM))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
