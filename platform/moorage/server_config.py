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
from moorage.supervisor.ranges import POD_RANGE, SERVICE_RANGE
from moorage_tenants.authentication import configuration
from moorage_tenants.authentication.bootstrap import BadTokens, read_bootstrap
from moorage_tenants.authentication.configuration import AuthenticationConfig
from moorage_tenants.authentication.oidc.config import IssuerConfig, url_problem
from moorage_tenants.authentication.setup import ISSUER
from moorage_tenants.configuration_fields import BadConfiguration
from moorage_tenants.podsecurity import configuration as podsecurity
from moorage_tenants.podsecurity.configuration import PodSecurityConfig
from moorage_tenants.sealing import BadKek, FileKek, Kek, KekSource
from moorage_tenants.sealing.kms import KmsKek, SocketKms

KEK_VARIABLE = "MOORAGE_KEK"


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
    service_cidrs: Sequence[str]
    pod_cidrs: Sequence[str]
    authentication: AuthenticationConfig
    authentication_file: Path | None
    service_account_issuer: str
    client_ca: Path | None
    pod_security: PodSecurityConfig

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
        service_cidr: str = SERVICE_RANGE,
        pod_cidr: str = POD_RANGE,
        authentication_config: Path | None = None,
        oidc: IssuerConfig | None = None,
        service_account_issuer: str = "",
        client_ca: Path | None = None,
        admission_config: Path | None = None,
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
            service_cidrs=_ranges(service_cidr, "--service-cidr"),
            pod_cidrs=_ranges(pod_cidr, "--pod-cidr"),
            authentication=_authentication(authentication_config, oidc),
            authentication_file=authentication_config,
            service_account_issuer=_issuer(service_account_issuer or ISSUER),
            client_ca=_client_ca(client_ca),
            pod_security=_pod_security(admission_config),
        )


def _authentication(path: Path | None, single: IssuerConfig | None) -> AuthenticationConfig:
    if path is None:
        return AuthenticationConfig((single,) if single is not None else ())
    if single is not None:
        raise ConfigError(
            "--authentication-config and --oidc-issuer-url exclude each other; put the issuer into the file"
        )
    try:
        return configuration.read(path)
    except BadConfiguration as error:
        raise ConfigError(f"--authentication-config {error}") from None


def _pod_security(path: Path | None) -> PodSecurityConfig:
    try:
        return PodSecurityConfig() if path is None else podsecurity.read(path)
    except BadConfiguration as error:
        raise ConfigError(f"{podsecurity.OPTION} {error}") from None


def _issuer(url: str) -> str:
    if problem := url_problem(url):
        raise ConfigError(f"--service-account-issuer {url}: {problem}")
    return url


def _client_ca(path: Path | None) -> Path | None:
    if path is not None:
        _fingerprint(path, _read(path, "--client-ca-file"), "--client-ca-file")
    return path


def _ranges(text: str, option: str) -> Sequence[str]:
    """One network, or one of each family, comma-separated."""
    given = [part.strip() for part in text.split(",")]
    try:
        networks = [ip_network(part) for part in given]
    except ValueError as error:
        raise ConfigError(f"{option} {text}: {error}; give a network such as {SERVICE_RANGE}") from None
    if len({network.version for network in networks}) < len(networks) or min(net.num_addresses for net in networks) < 8:
        raise ConfigError(f"{option} {text}: give one network of at least 8 addresses for each family")
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


def _fingerprint(path: Path, pem: bytes, option: str = "--ca-cert") -> str:
    try:
        return pki.fingerprint(pem)
    except ValueError:
        raise ConfigError(f"{option} {path}: is no certificate in PEM") from None


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
