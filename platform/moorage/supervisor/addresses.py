"""Addresses: what to listen on, what this host is called, whether a port is free."""

from __future__ import annotations

import errno
import fcntl
import ipaddress
import re
import socket
import struct
from dataclasses import dataclass

from moorage.supervisor.layout import SetupError

DEFAULT_PORT = 6443
_SIOCGIFADDR = 0x8915
_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Listen:
    """A host or address, and a TCP port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Listen:
        """``HOST:PORT``, ``[ADDRESS]:PORT`` or ``HOST``. Raises SetupError."""
        host, colon, port = text.rpartition(":")
        if not colon or (text.startswith("[") and text.endswith("]")):
            host, port = text, str(DEFAULT_PORT)
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise SetupError(
                f'--listen "{text}": must be HOST:PORT with a port from 1 to 65535, for example 127.0.0.1:6443'
            )
        return cls(host, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def local_url(self) -> str:
        """How programs on this host reach it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"https://{Listen(host, self.port)}"

    def check_free(self) -> None:
        """Raises SetupError where the address cannot be listened on."""
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
        except socket.gaierror as error:
            raise SetupError(f'--listen "{self}": {self.host} is no address of this host: {error.strerror}') from None
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
            except OSError as error:
                raise SetupError(self._why_not(error)) from None

    def _why_not(self, error: OSError) -> str:
        if error.errno == errno.EADDRINUSE:
            return (
                f"another program already listens on {self}; stop it, or choose another address "
                f"with --listen, for example --listen {Listen(self.host, self.port + 1)}"
            )
        if error.errno == errno.EADDRNOTAVAIL:
            return f"{self.host} is no address of this host; choose one with --listen, for example --listen 0.0.0.0:{self.port}"
        return f"cannot listen on {self}: {error.strerror}"


def host_addresses() -> list[str]:
    """IPv4 addresses of this host's interfaces (netdevice(7))."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:
                continue
            found.append(socket.inet_ntoa(answer[20:24]))
    return found


def server_names(listen: Listen, services: str) -> list[str]:
    """Names and addresses under which the server may be reached: the subject alternative names of its certificate.
    ``services`` is the range of Services' addresses: the API's own has the first.
    """
    host = socket.gethostname()
    service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]
    names = ["localhost", *service, host, socket.getfqdn(host)]
    wildcard = listen.host in {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    own = ipaddress.ip_network(services).network_address + 1
    addresses = ["127.0.0.1", "::1", str(own), *host_addresses()]
    (addresses if is_address(listen.host) else names).append("127.0.0.1" if wildcard else listen.host)
    names = [name for name in names if not is_address(name) and name.isascii()]
    return list(dict.fromkeys(names + addresses))


def is_address(text: str) -> bool:
    """Whether ``text`` is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def default_node_name() -> str:
    """This host's name as a node's name: lower case, what Kubernetes allows."""
    name = re.sub(r"[^a-z0-9.-]", "-", socket.gethostname().lower()).strip("-.")
    return name[:63].strip("-.") or "node"


def check_node_name(name: str) -> None:
    """Raises SetupError for a name that no node can have."""
    if len(name) > 63 or not _NODE_NAME.fullmatch(name) or ".." in name:
        raise SetupError(
            f'--node "{name}": must consist of lower case letters, digits, "-" or ".", at most 63, '
            "and start and end with a letter or digit"
        )
