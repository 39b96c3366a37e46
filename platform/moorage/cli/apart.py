"""A node apart for ``moorage agent --apart``: its agent is another process of this program, in a network of the node's own."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from moorage.cli.compose import until_stopped
from moorage.client.join import parse
from moorage.supervisor import notice
from moorage.supervisor.layout import SetupError


async def run_node_apart(
    server: str,
    token_file: Path,
    ca_file: Path | None,
    node: str,
    data_dir: Path,
    static_pods: Path | None = None,
    eviction_hard: str = "",
    resolv_conf: Path | None = None,
) -> None:
    """Run a node in a network of its own with an engine of its own. Returns after SIGTERM. Raises SetupError."""
    try:
        from moorage_agent.apart import launch
        from moorage_agent.identity import IdentityError
        from moorage_agent.options import host_node_name
        from moorage_agent.pods.labels import Owner

        cluster = await asyncio.to_thread(_cluster_of, token_file, ca_file)
    except (ImportError, OSError, ValueError) as error:
        raise SetupError(str(error)) from None
    owner = Owner(cluster, node or host_node_name())
    level = logging.getLevelName(logging.getLogger().level)
    command = [sys.executable, "-m", "moorage.cli", "agent", "--server", server, "--token-file", str(token_file)]
    command += ["--node", owner.node, "--data-dir", str(data_dir), "--log-level", level]
    command += ["--ca-file", str(ca_file)] if ca_file is not None else []
    command += ["--pod-manifest-path", str(static_pods)] if static_pods is not None else []
    command += ["--eviction-hard", eviction_hard] if eviction_hard else []
    command += ["--resolv-conf", str(resolv_conf)] if resolv_conf is not None else []
    ready = os.environ.get(notice.READY_VARIABLE, "")
    environment = {**os.environ, notice.PARENT_VARIABLE: str(os.getpid())}
    passed = [int(ready)] if ready.isdigit() else []
    try:
        await until_stopped(lambda: launch.run(command, data_dir, owner, server, environment, passed))
    except (launch.ApartError, IdentityError) as error:
        raise SetupError(str(error)) from None


def _cluster_of(token_file: Path, ca_file: Path | None) -> str:
    """The cluster's uid: from its CA certificate, or from the join token, which holds the same hash."""
    from moorage_agent.identity import CLUSTER_DIGITS, cluster_uid

    if ca_file is not None:
        return cluster_uid(ca_file.read_text("ascii"))
    return parse(token_file.read_text("ascii")).ca_sha256[:CLUSTER_DIGITS]
