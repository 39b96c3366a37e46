from __future__ import annotations

import datetime
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from moorage.client import join
from moorage.supervisor import pki
from moorage.supervisor.layout import SetupError

NAMES = ["localhost", "127.0.0.1", "::1"]
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)


def handshake(made: pki.Pki, host: str) -> None:
    """A TLS handshake in memory, verified as strictly as any client verifies."""
    client_context = ssl.create_default_context(cafile=str(made.ca_certificate))
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(made.certificate, made.key)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(5):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert client.version() == "TLSv1.3"


def test_clients_verify_the_server_by_each_of_its_names(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, NAMES)
    for name in NAMES:
        handshake(made, name)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, "other.example.com")


def test_keys_are_private(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, NAMES)
    for key in (made.key, made.ca_key, made.client_ca_key):
        assert key.stat().st_mode & 0o777 == 0o600


def test_nothing_is_made_twice(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NAMES, NOW)
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    pki.ensure(tmp_path, NAMES[:2], NOW + 30 * DAY)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("why", ["expiring", "name", "foreign", "lost key"])
def test_the_serving_certificate_is_renewed_and_the_authority_stays(tmp_path: Path, why: str) -> None:
    made = pki.ensure(tmp_path, NAMES, NOW)
    authority, before = made.ca_certificate.read_bytes(), made.certificate.read_bytes()
    now, names = NOW, NAMES
    if why == "expiring":
        now = NOW + (pki.SERVER_DAYS - pki.RENEW_DAYS + 1) * DAY
    elif why == "name":
        names = [*NAMES, "new.example.com"]
    elif why == "foreign":
        other = pki.ensure(_folder(tmp_path / "other"), NAMES, NOW)
        before = other.certificate.read_bytes()
        made.certificate.write_bytes(before)
    else:
        made.key.unlink()
    pki.ensure(tmp_path, names, now)
    assert made.ca_certificate.read_bytes() == authority
    certificate = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    assert made.certificate.read_bytes() != before
    assert certificate.not_valid_after_utc == now + pki.SERVER_DAYS * DAY


def test_clients_have_an_authority_of_their_own_that_is_renewed_in_time(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, NAMES, NOW)
    servers, first = (x509.load_pem_x509_certificate(file.read_bytes()) for file in _authorities(made))
    assert first.subject != servers.subject
    assert first.public_key() != servers.public_key()
    almost = NOW + (pki.CA_DAYS - pki.RENEW_DAYS - 1) * DAY
    pki.ensure(tmp_path, NAMES, almost)
    assert made.client_ca_certificate.read_bytes() == first.public_bytes(Encoding.PEM)
    pki.ensure(tmp_path, NAMES, almost + 2 * DAY)
    second, kept = x509.load_pem_x509_certificates(made.client_ca_certificate.read_bytes())
    assert kept == first
    assert second.public_key() != first.public_key()


def test_a_key_that_lost_its_authority_is_replaced_together_with_it(tmp_path: Path) -> None:
    """What a crash between two writes leaves: a new key beside the old certificate."""
    made = pki.ensure(tmp_path, NAMES, NOW)
    first = x509.load_pem_x509_certificate(made.client_ca_certificate.read_bytes())
    made.client_ca_key.write_bytes(made.key.read_bytes())
    pki.ensure(tmp_path, NAMES, NOW)
    second, kept = x509.load_pem_x509_certificates(made.client_ca_certificate.read_bytes())
    assert kept == first
    key = load_pem_private_key(made.client_ca_key.read_bytes(), None)
    assert key.public_key() == second.public_key()


def _authorities(made: pki.Pki) -> tuple[Path, Path]:
    return made.ca_certificate, made.client_ca_certificate


def test_an_expired_authority_is_refused_with_what_to_do(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NAMES, NOW)
    with pytest.raises(SetupError, match=r"expired on .* remove"):
        pki.ensure(tmp_path, NAMES, NOW + (pki.CA_DAYS + 1) * DAY)


def test_a_broken_file_is_refused_by_name(tmp_path: Path) -> None:
    made = pki.ensure(tmp_path, NAMES)
    made.ca_certificate.write_text("nonsense")
    with pytest.raises(SetupError, match=str(tmp_path)):
        pki.ensure(tmp_path, NAMES)


def test_the_fingerprint_is_the_one_that_nodes_compare(tmp_path: Path) -> None:
    pem = pki.ensure(tmp_path, NAMES).ca_certificate.read_bytes()
    assert pki.fingerprint(pem) == join.fingerprint(pem.decode())


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
