"""What an API server is told, checked before it starts: each thing that cannot work is one sentence."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

from moorage.api.contracts import Identity
from moorage.supervisor import pki
from moorage.supervisor.addresses import Listen
from moorage.supervisor.layout import SetupError
from moorage.supervisor.options import check_database_url, database_password
from moorage_tenants.sealing import BadKek, FileKek, Kek, KekSource
from moorage_tenants.sealing.kms import KmsKek, SocketKms
from moorage_tenants.tokens import BadTokens, read_bootstrap

KEK_VARIABLE = "MOORAGE_KEK"
DEFAULT_SERVICE_CIDR = "10.96.0.0/16"


class ConfigError(SetupError):
    """The server refuses to start; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Checked settings. ``advertise`` is ``HOST:PORT`` where others reach this server."""

    database_url: str
    database_password: str
    listen: Listen
    advertise: str
    tls_cert: Path
    tls_key: Path
    ca_pem: bytes
    ca_sha256: str
    kek: KekSource
    bootstrap: Mapping[str, Identity]
    git_dir: Path
    audit_log: Path
    service_cidrs: Sequence[str]

    @classmethod
    def checked(
        cls,
        *,
        database_url: str,
        listen: str,
        advertise: str,
        tls_cert: Path,
        tls_key: Path,
        ca_cert: Path,
        kek_file: Path | None,
        kms_socket: Path | None = None,
        bootstrap_tokens: Path | None,
        git_dir: Path,
        audit_log: Path | None,
        service_cidr: str = DEFAULT_SERVICE_CIDR,
    ) -> ServerConfig:
        """Read and check everything. Raises SetupError."""
        check_database_url(database_url)
        address = Listen.parse(listen)
        _check_pair(tls_cert, tls_key)
        ca_pem = _read(ca_cert, "--ca-cert")
        git_dir = _directory(git_dir)
        return cls(
            database_url=database_url,
            database_password=database_password(),
            listen=address,
            advertise=str(Listen.parse(advertise)) if advertise else address.local_url.removeprefix("https://"),
            tls_cert=tls_cert,
            tls_key=tls_key,
            ca_pem=ca_pem,
            ca_sha256=_fingerprint(ca_cert, ca_pem),
            kek=_kek(kek_file, kms_socket),
            bootstrap=_bootstrap(bootstrap_tokens),
            git_dir=git_dir,
            audit_log=audit_log or git_dir.parent / "audit.log",
            service_cidrs=_ranges(service_cidr),
        )


def _ranges(text: str) -> Sequence[str]:
    """One network, or one of each family, comma-separated."""
    given = [part.strip() for part in text.split(",")]
    try:
        networks = [ip_network(part) for part in given]
    except ValueError as error:
        raise ConfigError(f"--service-cidr {text}: {error}; give a network such as {DEFAULT_SERVICE_CIDR}") from None
    if len({network.version for network in networks}) < len(networks) or min(net.num_addresses for net in networks) < 8:
        raise ConfigError(f"--service-cidr {text}: give one network of at least 8 addresses for each family")
    return [str(network) for network in networks]


def _check_pair(certificate: Path, key: Path) -> None:
    for path, option in ((certificate, "--tls-cert"), (key, "--tls-key")):
        _read(path, option)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"--tls-cert {certificate} and --tls-key {key} are no certificate with its key in PEM: {error}"
        ) from None


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{option} {path}: cannot be read: {error.strerror or error}") from None


def _fingerprint(path: Path, pem: bytes) -> str:
    try:
        return pki.fingerprint(pem)
    except ValueError:
        raise ConfigError(f"--ca-cert {path}: is no certificate in PEM") from None


def _kek(path: Path | None, socket: Path | None) -> KekSource:
    text = os.environ.pop(KEK_VARIABLE, "")
    if socket is not None:
        if path is not None or text:
            raise ConfigError(
                f"give --kms-socket, or --kek-file or {KEK_VARIABLE}, not both: one of them keeps the key"
            )
        return KmsKek(SocketKms(socket))
    try:
        if path is not None:
            return FileKek(path)
        if text:
            return Kek.parse(text, KEK_VARIABLE)
    except BadKek as error:
        raise ConfigError(str(error)) from None
    raise ConfigError(
        "no key-encryption key: give --kek-file or --kms-socket, or put it into the environment variable "
        f"{KEK_VARIABLE}; without one, secrets could not be encrypted. Make one with: openssl rand -hex 32"
    )


def _bootstrap(path: Path | None) -> Mapping[str, Identity]:
    try:
        return read_bootstrap(path) if path is not None else {}
    except BadTokens as error:
        raise ConfigError(f"--bootstrap-tokens: {error}") from None


def _directory(path: Path) -> Path:
    path = path.absolute()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--git-dir {path}: cannot be made: {error.strerror or error}") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"--git-dir {path}: cannot be written")
    return path
