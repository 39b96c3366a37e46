"""Which parts an installation has, and with which arguments and environment each is started."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

from moorage.supervisor.addresses import Listen
from moorage.supervisor.layout import Layout
from moorage.supervisor.options import Options
from moorage.supervisor.part import PartSpec
from moorage.supervisor.ranges import Ranges

PROGRAM = (sys.executable, "-m", "moorage.cli")
DATABASE_URL_VARIABLE = "MOORAGE_DATABASE_URL"
STOP_SECONDS, APART_STOP_SECONDS = 10.0, 45.0
"""An agent leaves its pods; a node apart ends its engine and the containers in it."""
IDENTITY_VARIABLE = "MOORAGE_IDENTITY"
"""Names a candidate for leadership. A data directory has one, so that a new process takes over from a killed one at once."""


def server_part(layout: Layout, options: Options, database_url: str, ranges: Ranges) -> PartSpec:
    """The API server. Secrets go by file; the database's password by the environment that the supervisor got itself."""
    command = [
        *PROGRAM,
        *("server", "--listen", options.listen, "--log-level", options.log_level),
        *("--tls-cert", str(layout.pki / "server.crt"), "--tls-key", str(layout.pki / "server.key")),
        *("--ca-cert", str(layout.ca_certificate), "--kek-file", str(layout.kek)),
        *("--bootstrap-tokens", str(layout.bootstrap_tokens), "--git-dir", str(layout.git)),
        *("--client-ca-file", str(layout.client_ca_certificate)),
        *("--service-cidr", ranges.services, "--pod-cidr", ranges.pods),
        *options.server_arguments,
    ]
    return PartSpec("server", command, {DATABASE_URL_VARIABLE: database_url}, stop_seconds=15.0)


def client_parts(layout: Layout, options: Options, ranges: Ranges) -> Sequence[PartSpec]:
    """Controllers, and one agent per node: clients of the API."""
    url = Listen.parse(options.listen).local_url
    way = ["--server", url, "--ca-file", str(layout.ca_certificate), "--log-level", options.log_level]
    token = ["--token-file", str(layout.tokens / "controllers")]
    identity = {IDENTITY_VARIABLE: f"{socket.gethostname()}_{layout.root}"}
    signing = ["--client-ca-file", str(layout.client_ca_certificate), "--client-ca-key-file", str(layout.client_ca_key)]
    controllers = [*PROGRAM, "controllers", *token, *way, *signing, "--pod-cidr", ranges.pods]
    controllers += ["--load-balancer-pool", options.load_balancer_pool] if options.load_balancer_pool else []
    parts = [PartSpec("controllers", controllers, identity)]
    for node in (*options.nodes, *options.nodes_apart):
        own = ["--token-file", str(layout.node_token(node)), "--node", node, "--data-dir", str(layout.agent(node))]
        own += ["--pod-manifest-path", options.pod_manifest_path] if options.pod_manifest_path else []
        apart = node in options.nodes_apart
        own += ["--apart"] if apart else []
        seconds = APART_STOP_SECONDS if apart else STOP_SECONDS
        parts.append(PartSpec(f"agent/{node}", [*PROGRAM, "agent", *way, *own], stop_seconds=seconds))
    if options.fake_nodes:
        own = ["--count", str(options.fake_nodes), "--token-files", str(layout.node_token(""))]
        own += ["--data-dir", str(layout.agent("fakes"))]
        parts.append(PartSpec("fake-nodes", [*PROGRAM, "fake-nodes", *way, *own]))
    return parts
