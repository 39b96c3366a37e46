"""``server``, ``controllers``, ``agent``: one part alone, for production or below the supervisor.

A part that cannot run as it is configured says so in one sentence and ends with code 78 (sysexits.h EX_CONFIG).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from moorage.cli import vouching
from moorage.cli.options import AdmissionConfig, LogLevel, ManifestPath, PoolOption, fail
from moorage.supervisor.ranges import POD_RANGE, SERVICE_RANGE

REFUSED = 78

ServerUrl = Annotated[str, typer.Option("--server", help="The API server: https://HOST:PORT.")]
TokenFile = Annotated[Path, typer.Option("--token-file", help="A file that holds this part's bearer token.")]
CaFile = Annotated[
    Path | None,
    typer.Option("--ca-file", help="The API server's CA certificate. A node's join token is enough to find it."),
]

PodCidr = Annotated[
    str, typer.Option("--pod-cidr", help="Where pods' addresses come from; the same for all servers and controllers.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        epilog="Example: moorage server --listen 0.0.0.0:6443 --database-url postgresql://moorage@db/moorage "
        "--tls-cert tls.crt --tls-key tls.key --ca-cert ca.crt --kek-file kek --bootstrap-tokens tokens.json "
        "--git-dir /var/lib/moorage/git"
    )(server)
    app.command(
        epilog="Example: moorage controllers --server https://api:6443 --token-file controllers.token --ca-file ca.crt"
    )(controllers)
    app.command(
        epilog="Example: moorage tokens create --node worker-1 --out worker-1.token, then on that machine: "
        "moorage agent --server https://api:6443 --token-file worker-1.token --node worker-1"
    )(agent)
    app.command("fake-nodes", hidden=True)(fake_nodes)


def server(
    database_url: Annotated[
        str, typer.Option(envvar="MOORAGE_DATABASE_URL", help="PostgreSQL, without a password (see moorage up --help).")
    ],
    tls_cert: Annotated[Path, typer.Option(help="The serving certificate (PEM, with its chain).")],
    tls_key: Annotated[Path, typer.Option(help="Its key (PEM).")],
    ca_cert: Annotated[Path, typer.Option(help="The CA that clients trust; its hash goes into join tokens.")],
    git_dir: Annotated[Path, typer.Option(help="Where pushed repositories are kept.")],
    kek_file: Annotated[
        Path | None,
        typer.Option(help="Key-encryption keys: 64 hexadecimal digits a line. Or in the variable MOORAGE_KEK."),
    ] = None,
    kms_socket: Annotated[
        Path | None,
        typer.Option(help="A key management service's unix socket, in place of --kek-file (see docs/secrets.md)."),
    ] = None,
    bootstrap_tokens: Annotated[
        Path | None, typer.Option(help='Tokens to accept from the start: [{"sha256", "user", "groups"}].')
    ] = None,
    listen: Annotated[str, typer.Option(help="Address of the API.")] = "127.0.0.1:6443",
    advertise: Annotated[
        str, typer.Option(help="HOST:PORT where other servers and clients reach this one; default: --listen.")
    ] = "",
    service_cidr: Annotated[
        str, typer.Option(help="Where addresses of Services come from, at the cluster's first start.")
    ] = SERVICE_RANGE,
    pod_cidr: PodCidr = POD_RANGE,
    authentication_config: vouching.ConfigFile = None,
    oidc_issuer_url: vouching.IssuerUrl = "",
    oidc_client_id: vouching.ClientId = "",
    oidc_username_claim: vouching.UsernameClaim = "sub",
    oidc_username_prefix: vouching.UsernamePrefix = None,
    oidc_groups_claim: vouching.GroupsClaim = "",
    oidc_groups_prefix: vouching.GroupsPrefix = "",
    oidc_required_claim: vouching.RequiredClaim = None,
    oidc_ca_file: vouching.CaFile = None,
    oidc_scope: vouching.Scope = None,
    service_account_issuer: vouching.AccountIssuer = "",
    admission_control_config_file: AdmissionConfig = None,
    client_ca_file: Annotated[
        Path | None, typer.Option(help="The CA of client certificates: CN is the user, O are its groups.")
    ] = None,
    log_level: LogLevel = "INFO",
) -> None:
    """Run an API server alone. Any number of them may share one database."""
    _start(log_level)
    from moorage.server import ConfigError, ServerConfig, serve
    from moorage.supervisor.layout import SetupError

    try:
        issuer = vouching.single(
            issuer_url=oidc_issuer_url,
            client_id=oidc_client_id,
            username_claim=oidc_username_claim,
            username_prefix=oidc_username_prefix,
            groups_claim=oidc_groups_claim,
            groups_prefix=oidc_groups_prefix,
            required_claim=oidc_required_claim,
            ca_file=oidc_ca_file,
            scope=oidc_scope,
        )
        config = ServerConfig.checked(
            database_url=database_url,
            listen=listen,
            advertise=advertise,
            tls_cert=tls_cert,
            tls_key=tls_key,
            ca_cert=ca_cert,
            kek_file=kek_file,
            kms_socket=kms_socket,
            bootstrap_tokens=bootstrap_tokens,
            git_dir=git_dir,
            service_cidr=service_cidr,
            pod_cidr=pod_cidr,
            authentication_config=authentication_config,
            oidc=issuer,
            service_account_issuer=service_account_issuer,
            client_ca=client_ca_file,
            admission_config=admission_control_config_file,
        )
        serve(config)
    except (ConfigError, SetupError) as error:
        fail(error, REFUSED)


def controllers(
    server: ServerUrl,
    token_file: TokenFile,
    ca_file: CaFile = None,
    pod_cidr: PodCidr = POD_RANGE,
    load_balancer_pool: PoolOption = "",
    client_ca_file: Annotated[
        Path | None, typer.Option(help="The CA of client certificates, the same that the servers are given.")
    ] = None,
    client_ca_key_file: Annotated[
        Path | None, typer.Option(help="Its key; with it, approved CertificateSigningRequests are signed.")
    ] = None,
    log_level: LogLevel = "INFO",
) -> None:
    """Run controllers, scheduler and GitOps engine alone. Of several, one leads and the others stand by."""
    _start(log_level)
    from moorage.cli.compose import run_controllers

    signing = client_ca_file, client_ca_key_file
    _run(lambda: run_controllers(server, token_file, ca_file, pod_cidr, signing, load_balancer_pool))


def agent(
    server: ServerUrl,
    token_file: TokenFile,
    ca_file: CaFile = None,
    node: Annotated[str, typer.Option(help="The node's name; default: this host's name.")] = "",
    data_dir: Annotated[Path, typer.Option(help="Where volumes and pod logs are kept.")] = Path(
        "/var/lib/moorage-agent"
    ),
    pod_manifest_path: ManifestPath = None,
    apart: Annotated[
        bool,
        typer.Option(
            "--apart", help="Give the node a network and a Docker Engine of its own, for several nodes on one machine."
        ),
    ] = False,
    eviction_hard: Annotated[
        str,
        typer.Option(
            help="When the node ends pods: thresholds as memory.available<100Mi,nodefs.available<10%,pid.available<5%;"
            " what is not named stays as usual."
        ),
    ] = "",
    resolv_conf: Annotated[
        Path | None,
        typer.Option(help="A file that names the resolvers of pods; default: this machine's /etc/resolv.conf."),
    ] = None,
    log_level: LogLevel = "INFO",
) -> None:
    """Run a node's agent alone: it dials the API server and runs pods on this machine's Docker Engine."""
    _start(log_level)
    from moorage.cli.apart import run_node_apart
    from moorage.cli.compose import run_agent

    start = run_node_apart if apart else run_agent
    _run(lambda: start(server, token_file, ca_file, node, data_dir, pod_manifest_path, eviction_hard, resolv_conf))


def fake_nodes(
    server: ServerUrl,
    count: Annotated[int, typer.Option(help="How many nodes.")],
    token_files: Annotated[str, typer.Option(help="What each node's token file begins with; its name follows.")],
    ca_file: CaFile = None,
    data_dir: Annotated[Path, typer.Option(help="Where the nodes' state is kept.")] = Path("/var/lib/moorage-fakes"),
    log_level: LogLevel = "INFO",
) -> None:
    """Run nodes that only pretend to run pods, to try the platform at scale."""
    _start(log_level)
    from moorage.cli.compose import run_fake_nodes

    _run(lambda: run_fake_nodes(server, token_files, ca_file, count, data_dir))


def _start(log_level: str) -> None:
    from moorage.supervisor.log import configure
    from moorage.supervisor.notice import end_with_parent

    if log_level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        fail(f'--log-level "{log_level}": must be DEBUG, INFO, WARNING or ERROR', REFUSED)
    configure(log_level)
    end_with_parent()


def _run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    from moorage.supervisor.layout import SetupError

    try:
        asyncio.run(main())
    except SetupError as error:
        fail(error, REFUSED)
