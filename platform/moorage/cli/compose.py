"""Composes the parts that are clients of the API: controllers with scheduler and GitOps engine, and a node's agent."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from moorage.client.api import ApiClient
from moorage.client.credentials import Token
from moorage.client.errors import ClientError
from moorage.client.informer import Informers
from moorage.client.join import JoinTokenError, bootstrap_ca
from moorage.client.leader import LeaderElector
from moorage.supervisor import notice, ranges
from moorage.supervisor.layout import SetupError
from moorage.supervisor.options import POOL_OPTION
from moorage.supervisor.plan import IDENTITY_VARIABLE

if TYPE_CHECKING:
    from moorage.controllers.certificates.authority import Authority

log = logging.getLogger(__name__)

REACH_SECONDS = 0.05
STANDBY_SECONDS = 0.2


async def run_controllers(
    server: str,
    token_file: Path,
    ca_file: Path | None,
    pod_cidr: str,
    client_ca: tuple[Path | None, Path | None] = (None, None),
    load_balancer_pool: str = "",
) -> None:
    """Stand for election, and run everything while leading. Returns after SIGTERM. Raises SetupError."""
    from moorage.controllers import run as controllers_run
    from moorage.controllers.context import Options
    from moorage.scheduler import run as scheduler_run
    from moorage_gitops.engine import run as engine_run

    cluster_cidr = str(ranges.network(pod_cidr, "--pod-cidr"))
    pool = [str(ranges.network(load_balancer_pool, POOL_OPTION, 1))] if load_balancer_pool else ()
    options = Options(cluster_cidr=cluster_cidr, authority=_authority(*client_ca), load_balancer_pool=pool)
    client = await _client(server, token_file, ca_file, "moorage-controllers")
    identity = os.environ.get(IDENTITY_VARIABLE) or f"{socket.gethostname()}_{secrets.token_hex(4)}"
    elector = LeaderElector(client, controllers_run.LEASE, identity)

    async def lead() -> None:
        informers = Informers(client)
        async with asyncio.TaskGroup() as group:
            group.create_task(scheduler_run.run(client, informers=informers), name="scheduler")
            group.create_task(engine_run.run(client, informers=informers), name="gitops engine")
            everything = controllers_run.run(client, options, informers=informers, ready=notice.ready)
            group.create_task(everything, name="controllers")
            group.create_task(informers.run(), name="informers")

    async def stand() -> None:
        standby = asyncio.create_task(_ready_as_standby(elector), name="standby")
        try:
            await elector.run(lead)
        finally:
            standby.cancel()

    async with client:
        await _reachable(client)
        await until_stopped(stand)


def _authority(certificate: Path | None, key: Path | None) -> Authority | None:
    """What signs clients' certificates, where this process is given it. Raises SetupError."""
    if key is None:
        return None
    if certificate is None:
        raise SetupError("--client-ca-key-file: needs --client-ca-file, the certificate that it belongs to")
    from moorage.controllers.certificates.authority import Authority, BadAuthority

    try:
        return Authority.read(certificate, key)
    except BadAuthority as error:
        raise SetupError(f"--client-ca-file, --client-ca-key-file: {error}") from None


async def run_agent(
    server: str,
    token_file: Path,
    ca_file: Path | None,
    node: str,
    data_dir: Path,
    static_pods: Path | None = None,
    eviction_hard: str = "",
    resolv_conf: Path | None = None,
) -> None:
    """Run a node's agent. Returns after SIGTERM; its pods go on. Raises SetupError."""
    from moorage_agent import run
    from moorage_agent.identity import IdentityError
    from moorage_agent.node import thresholds
    from moorage_agent.options import DOCKER, AgentOptions, host_node_name

    try:
        hard = thresholds.parse(eviction_hard)
    except ValueError as error:
        raise SetupError(f"--eviction-hard: {error}") from None
    options = AgentOptions(
        server=server,
        data_dir=data_dir,
        node=node or host_node_name(),
        token_file=token_file,
        ca_file=ca_file,
        static_pods=static_pods,
        eviction_hard=hard,
        resolv_conf=resolv_conf,
        on_ready=notice.ready,
        docker=os.environ.get("DOCKER_HOST") or DOCKER,
    )
    try:
        await until_stopped(lambda: run(options))
    except (IdentityError, JoinTokenError, ClientError, OSError) as error:
        raise SetupError(str(error)) from None


async def run_fake_nodes(server: str, token_files: str, ca_file: Path | None, count: int, data_dir: Path) -> None:
    """Run nodes with fake engines. Returns after SIGTERM. Raises SetupError."""
    from moorage_agent import simulation
    from moorage_agent.identity import IdentityError
    from moorage_agent.options import AgentOptions

    options = AgentOptions(server=server, data_dir=data_dir, ca_file=ca_file)

    def token_of(node: str) -> Path:
        return Path(token_files + node)

    try:
        await until_stopped(lambda: simulation.run(options, count, token_of, notice.ready))
    except (IdentityError, JoinTokenError, ClientError, OSError) as error:
        raise SetupError(str(error)) from None


async def _ready_as_standby(elector: LeaderElector) -> None:
    """A candidate is ready once it knows that another one leads."""
    while elector.leading or not elector.leader:  # noqa: ASYNC110 - the elector has no event for it
        await asyncio.sleep(STANDBY_SECONDS)
    log.info("%s leads; standing by", elector.leader)
    notice.ready()


async def _client(server: str, token_file: Path, ca_file: Path | None, user_agent: str) -> ApiClient:
    """A client that verifies the server: by the given CA, or by the one whose hash the join token carries."""
    try:
        if ca_file is not None:
            return ApiClient(server, token_file=token_file, ca_file=ca_file, user_agent=user_agent)
        token = Token(file=token_file).current()
        if not token.startswith("moorage1."):
            return ApiClient(server, token_file=token_file, user_agent=user_agent)
        return ApiClient(server, token_file=token_file, ca_pem=await _proven_ca(server, token), user_agent=user_agent)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise SetupError(str(error)) from None


async def _proven_ca(server: str, token: str) -> str:
    while True:
        try:
            return await bootstrap_ca(server, token)
        except JoinTokenError as error:
            raise SetupError(f"--token-file: {error}") from None
        except (OSError, TimeoutError) as error:
            log.warning("%s does not answer: %s; trying again", server, str(error) or "no answer")
            await asyncio.sleep(2)


async def _reachable(client: ApiClient) -> None:
    """Wait for the server to listen: it starts at the same time as we do."""
    attempts = 0
    while True:
        try:
            await client.connection.request("GET", "/readyz", timeout=10)
        except (ClientError, aiohttp.ClientError, OSError) as error:
            attempts += 1
            if attempts % 100 == 0:
                log.warning("waiting for the API server: %s", error)
            await asyncio.sleep(REACH_SECONDS)
        else:
            return


async def until_stopped(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run ``work`` until it ends or SIGTERM comes; then cancel it, and let it end cleanly."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    task = asyncio.create_task(work(), name="work")
    waiting = asyncio.create_task(stop.wait(), name="stop")
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if task.done():
        task.result()
        return
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
