"""``up``, ``down``, ``status``, ``logs``, ``kubeconfig``, ``version``: an installation on this machine."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from moorage.cli import vouching
from moorage.cli.options import (
    DEFAULT_DATA_DIR,
    AdmissionConfig,
    DataDir,
    LogLevel,
    ManifestPath,
    PoolOption,
    admission_arguments,
    fail,
)

PARTS = ("postgres", "server", "controllers", "fake-nodes")
"""What an installation runs beside ``agent/NAME``."""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(epilog="Examples: moorage up --detach | moorage up --node a --node b --listen 0.0.0.0:6443")(up)
    app.command(epilog="Example: moorage down")(down)
    app.command(epilog="Example: moorage remove --data-dir /tmp/trial")(remove)
    app.command(epilog="Example: moorage status --output json")(status)
    app.command(epilog="Example: moorage logs --part server -f")(logs)
    app.command(epilog="Example: export KUBECONFIG=$(moorage kubeconfig --path)")(kubeconfig)
    app.command()(version)


def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    listen: Annotated[str, typer.Option(envvar="MOORAGE_LISTEN", help="Address of the API.")] = "127.0.0.1:6443",
    database_url: Annotated[
        str,
        typer.Option(
            envvar="MOORAGE_DATABASE_URL",
            help="A PostgreSQL (15 or newer) of your own, e.g. postgresql://moorage@db/moorage; its password is read from "
            "MOORAGE_DATABASE_PASSWORD or from the file named by MOORAGE_DATABASE_PASSWORD_FILE. "
            "Without a URL, an embedded PostgreSQL is started.",
        ),
    ] = "",
    node: Annotated[list[str] | None, typer.Option(help="Run a node of this name; may be repeated.")] = None,
    node_apart: Annotated[
        list[str] | None,
        typer.Option(help="Run one more node, with a network and a Docker Engine of its own; may be repeated."),
    ] = None,
    no_node: Annotated[bool, typer.Option("--no-node", help="Run the control plane only.")] = False,
    pod_manifest_path: ManifestPath = None,
    fake_nodes: Annotated[
        int, typer.Option(help="Run so many nodes that only pretend to run pods, in place of a real one.")
    ] = 0,
    pod_cidr: Annotated[
        str, typer.Option(help="Where pods' addresses come from; by default a network that is free on this machine.")
    ] = "",
    service_cidr: Annotated[str, typer.Option(help="Where Services' addresses come from; likewise.")] = "",
    load_balancer_pool: PoolOption = "",
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return when everything is ready.")] = False,
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
    log_level: LogLevel = "INFO",
) -> None:
    """Start the platform: database, API server, controllers, and a node on this machine's Docker Engine.

    A second start with the same data directory carries on where the first one ended.
    """
    import asyncio

    from moorage.supervisor import detach as background
    from moorage.supervisor.layout import Layout, SetupError
    from moorage.supervisor.options import Options
    from moorage.supervisor.supervise import StartFailed, Supervisor

    started = time.monotonic()

    def progress(part: str, state: str) -> None:
        if part:
            print(f"{part:<16} {state}", flush=True)
        else:
            _ready(layout, listen, time.monotonic() - started)

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
        options = Options.checked(
            data_dir=data_dir,
            listen=listen,
            database_url=database_url,
            nodes=node or (),
            nodes_apart=node_apart or (),
            no_node=no_node,
            fake_nodes=fake_nodes,
            log_level=log_level,
            pod_cidr=pod_cidr,
            service_cidr=service_cidr,
            load_balancer_pool=load_balancer_pool,
            pod_manifest_path=pod_manifest_path,
            server_arguments=[
                *vouching.arguments(authentication_config, service_account_issuer, issuer, oidc_ca_file),
                *admission_arguments(admission_control_config_file),
            ],
        )
        layout = Layout.at(data_dir)
        if detach:
            background.start(options, layout, progress)
        else:
            asyncio.run(Supervisor(options, progress, echo=True).run())
    except (SetupError, StartFailed) as error:
        fail(error)


def _ready(layout: object, listen: str, seconds: float) -> None:
    from moorage.supervisor.addresses import Listen
    from moorage.supervisor.layout import Layout

    assert isinstance(layout, Layout)
    print(
        f"ready after {seconds:.1f} s: {Listen.parse(listen).local_url}\n"
        f"  export KUBECONFIG={layout.kubeconfig}\n"
        f"  kubectl get nodes",
        flush=True,
    )


def down(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    keep_pods: Annotated[
        bool, typer.Option("--keep-pods", help="Let the pods of this machine run on, unattended, until the next start.")
    ] = False,
) -> None:
    """End the platform and the pods on this machine. Its data stays; "moorage up" carries on."""
    from moorage.cli.pods import end_networks, end_pods
    from moorage.supervisor.layout import Layout, SetupError
    from moorage.supervisor.shutdown import down as end

    layout = Layout.at(data_dir)
    try:
        ran = end(layout)
        ended = 0 if keep_pods else end_pods(layout)
        if not keep_pods:
            end_networks(layout)
    except SetupError as error:
        fail(error)
    print(
        "ended" + (f", with {ended} containers" if ended else "") if ran or ended else f"nothing runs in {layout.root}"
    )


def remove(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End the platform and delete everything that it kept: database, secrets, repositories, containers, links and rules.

    The directory of an agent that was started alone (moorage agent) is removed likewise, once that agent has ended.
    """
    from moorage.cli.pods import end_networks, end_pods, is_node
    from moorage.supervisor.layout import Layout, SetupError
    from moorage.supervisor.shutdown import delete
    from moorage.supervisor.shutdown import down as end

    layout = Layout.at(data_dir)
    if not layout.root.exists():
        print(f"{layout.root} does not exist")
        return
    try:
        if not (is_node(layout) or (layout.run.is_dir() and layout.tokens.is_dir())):
            fail(f"{layout.root} is no data directory of Moorage; nothing was deleted")
    except SetupError as error:
        fail(error)
    if not yes and not typer.confirm(f"Delete {layout.root} and everything in it?"):
        raise typer.Exit(1)
    try:
        end(layout)
        end_pods(layout, remove=True)
        end_networks(layout)
        delete(layout)
    except SetupError as error:
        fail(error)
    print(f"{layout.root} is deleted")


def status(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    output: Annotated[str, typer.Option("--output", "-o", help="table, json or yaml.")] = "table",
) -> None:
    """Show the parts of the installation. The exit code is 0 where all of them are ready."""
    from moorage.cli.output import show_status
    from moorage.supervisor.layout import Layout
    from moorage.supervisor.state import look

    if output not in {"table", "json", "yaml"}:
        fail(f'--output "{output}": must be table, json or yaml')
    found = look(Layout.at(data_dir))
    show_status(found, output)
    if not found["ready"]:
        raise typer.Exit(1)


def logs(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    part: Annotated[str, typer.Option(help="Only this part: postgres, server, controllers, agent/NAME.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    tail: Annotated[int, typer.Option(help="Start with so many last lines; -1 for all.")] = 100,
) -> None:
    """Print the log of the installation's parts."""
    from moorage.supervisor.layout import Layout
    from moorage.supervisor.log_reader import read_lines

    layout = Layout.at(data_dir)
    if not layout.log.exists():
        fail(f"there is no log in {layout.root}; start the platform with: moorage up --data-dir {layout.root}")
    if part and part not in PARTS and not part.startswith("agent/"):
        fail(f'--part "{part}": must be one of {", ".join(PARTS)}, agent/NAME; see what runs with: moorage status')
    for line in read_lines(layout.log, part=part, tail=tail, follow=follow):
        sys.stdout.write(line)
        sys.stdout.flush()


def kubeconfig(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    path: Annotated[bool, typer.Option("--path", help="Print where the file is instead of what is in it.")] = False,
) -> None:
    """Print the administrator's kubeconfig."""
    from moorage.supervisor.layout import Layout

    file = Layout.at(data_dir).kubeconfig
    if not file.exists():
        fail(f"{file} does not exist; start the platform with: moorage up --data-dir {file.parent}")
    print(file if path else file.read_text("utf-8"), end="\n" if path else "")


def version(
    output: Annotated[str, typer.Option("--output", "-o", help="table, json or yaml.")] = "table",
) -> None:
    """Print the versions of Moorage and of what it stands on."""
    from moorage.cli.output import show_versions

    if output not in {"table", "json", "yaml"}:
        fail(f'--output "{output}": must be table, json or yaml')
    show_versions(output)
