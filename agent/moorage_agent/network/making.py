"""Chooses the network of a node: the kernel's, or the engine's where rights or the kernel's means are missing; and removes it."""

from __future__ import annotations

import logging
import os
import socket
import struct
from pathlib import Path

from moorage.client.api import ApiClient
from moorage_agent.network.names import Names, names
from moorage_agent.network.nft.batch import Batch
from moorage_agent.network.nft.kernel import Kernel, NftError
from moorage_agent.pods.labels import Owner
from moorage_agent.pods.networking import EngineNetwork, PodNetwork

log = logging.getLogger(__name__)


def obstacle(docker: str) -> str:
    """Why the kernel's network cannot be used here; "" where it can. Blocking."""
    if os.geteuid() != 0:
        return "the agent does not run as root"
    if not docker.startswith("unix://"):
        return f"the engine at {docker} runs on another machine"
    if _elsewhere(docker.removeprefix("unix://")):
        return f"the engine at {docker} runs in another container: its processes cannot be seen from here"
    try:
        import pyroute2  # noqa: F401 - 25 MB that only this network needs
    except ImportError:
        return "the package pyroute2 is not installed (it comes with moorage[agent])"
    probe = Batch(f"moorage-probe-{os.getpid()}")
    probe.add_table()
    probe.delete_table()
    try:
        kernel = Kernel()
    except OSError as error:
        return f"the kernel refuses netlink: {error.strerror}"
    try:
        kernel.load(probe)
    except NftError as error:
        return f"the kernel refuses nftables: {error.strerror}"
    finally:
        kernel.close()
    return ""


def _elsewhere(path: str) -> bool:
    """Whether whoever listens at a socket is in another PID namespace (unix(7), SO_PEERCRED: the number is 0 then)."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5.0)
        try:
            client.connect(path)
        except OSError:
            return False  # an engine that does not answer yet is looked for by others
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", credentials)[0] == 0)


def make(
    owner: Owner, docker: str, data: Path, client: ApiClient, server: str, resolv_conf: Path | None = None
) -> PodNetwork:
    """The best network that there can be on this machine; its DNS asks the servers of ``resolv_conf`` for names of others.
    Blocking.
    """
    reason = obstacle(docker)
    if reason:
        lacks = (
            f"{reason}: pods get addresses from the engine's bridge; "
            "Services, NetworkPolicies and cluster DNS do not work on this node"
        )
        log.warning("%s", lacks)
        return EngineNetwork(lacks)
    from moorage_agent.network.node import KernelNetwork

    return KernelNetwork(names(owner.cluster, owner.node), owner.node, data, client, server, resolv_conf)


def remove(cluster: str, node: str) -> None:
    """Take away all that a node's network made in this machine's kernel; nothing where there is nothing. Blocking."""
    if os.geteuid() != 0:
        return
    from moorage_agent.network import forwarding

    try:
        from moorage_agent.network.links import LinkError, Links
    except ImportError:
        return  # without the package nothing was made
    own: Names = names(cluster, node)
    forwarding.forbid(own)
    try:
        kernel = Kernel()
        try:
            if kernel.has_table(own.table):
                batch = Batch(own.table)
                batch.delete_table()
                kernel.load(batch)
        finally:
            kernel.close()
        links = Links(own.metric)
        try:
            for network in links.routes():
                links.drop_route(network)
            pods = links.address_of(own.gateway)
            for name in (*links.starting_with(own.pods), own.gateway):
                links.remove(name)
            links.leave_tunnel(own.tunnel, str(pods - 1) if pods is not None else "")
        finally:
            links.close()
    except (OSError, LinkError) as error:
        log.warning("not everything of the network of %s was removed: %s", node, error)
