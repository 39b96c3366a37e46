"""Which cluster and which node an agent works for, kept across restarts, and that only one agent does."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import uuid
from pathlib import Path
from typing import Any

import orjson

from moorage_agent.pods.labels import Owner

CLUSTER_DIGITS = 32
"""Of the hash of the CA certificate, in hex."""


class IdentityError(Exception):
    """The agent must not start: it would meddle with what is another's. The text says what to do."""


def cluster_uid(ca_pem: str) -> str:
    """A cluster's identity from its CA certificate, which every installation has one of: what its join tokens carry, too."""
    der = ssl.PEM_cert_to_DER_cert(
        ca_pem[ca_pem.index("-----BEGIN") :].split("-----END")[0] + "-----END CERTIFICATE-----"
    )
    return hashlib.sha256(der).hexdigest()[:CLUSTER_DIGITS]


def remember(data: Path, node: str, cluster: str) -> tuple[Owner, str]:
    """(owner, node uid): read from ``DATA/identity.json``, or made and written there. Raises IdentityError, OSError."""
    file = data / "identity.json"
    if file.exists():
        known: dict[str, Any] = orjson.loads(file.read_bytes())
        if known["node"] != node:
            raise IdentityError(
                f"{data} belongs to node {known['node']!r}, not to {node!r}: give each node a data directory of its own"
            )
        return Owner(known["cluster"], node), str(known["uid"])
    found = {"cluster": cluster, "node": node, "uid": str(uuid.uuid4())}
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = file.with_suffix(".new")
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
        out.write(orjson.dumps(found))
        out.flush()
        os.fsync(out.fileno())
    temporary.rename(file)
    return Owner(cluster, node), found["uid"]


def lock(owner: Owner) -> socket.socket:
    """Hold the right to be this node's agent on this machine, until closed; the kernel lets go of it when the process dies.

    An abstract UNIX socket rather than a file: two agents with different data directories must not run one node either.
    Raises IdentityError.
    """
    name = hashlib.sha256(f"{owner.cluster}/{owner.node}".encode()).hexdigest()[:32]
    held = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        held.bind(f"\0moorage-agent-{name}")
    except OSError as error:
        held.close()
        raise IdentityError(f"another agent of node {owner.node!r} runs on this machine; stop it first") from error
    return held
