"""What ``moorage up`` was asked for, checked before anything is started."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from moorage.supervisor import ranges
from moorage.supervisor.addresses import Listen, check_node_name, default_node_name
from moorage.supervisor.layout import SetupError

PASSWORD_VARIABLE = "MOORAGE_DATABASE_PASSWORD"  # noqa: S105 - the name of a variable
PASSWORD_FILE_VARIABLE = "MOORAGE_DATABASE_PASSWORD_FILE"  # noqa: S105 - the name of a variable

FAKE = "fake"
"""Fake nodes are named ``fake-0`` and so on."""
MOST_FAKES = 5000

POOL_OPTION = "--load-balancer-pool"


@dataclass(frozen=True, slots=True)
class Options:
    """``database_url`` "" stands for the embedded PostgreSQL; ``nodes`` may be empty. ``server_arguments`` are more of
    ``moorage server``'s own: who may vouch for users. ``pod_cidr`` and ``service_cidr`` "" leave the choice to us.
    """

    data_dir: str
    listen: str
    database_url: str = ""
    nodes: Sequence[str] = ()
    log_level: str = "INFO"
    server_arguments: Sequence[str] = ()
    pod_cidr: str = ""
    service_cidr: str = ""
    fake_nodes: int = 0
    """Nodes with a fake engine, for trying things out at scale."""
    load_balancer_pool: str = ""
    """The network whose addresses Services of type LoadBalancer get; "" for none."""
    pod_manifest_path: str = ""
    """The folder of static pods, which every node here runs; "" for none."""
    nodes_apart: Sequence[str] = ()
    """Nodes with a network and a Docker Engine of their own."""

    @property
    def every_node(self) -> Sequence[str]:
        """Names of the nodes that run here, the fake ones too."""
        return (*self.nodes, *self.nodes_apart, *(f"{FAKE}-{number}" for number in range(self.fake_nodes)))

    @classmethod
    def checked(
        cls,
        *,
        data_dir: Path,
        listen: str,
        database_url: str = "",
        nodes: Sequence[str] = (),
        no_node: bool = False,
        log_level: str = "INFO",
        server_arguments: Sequence[str] = (),
        pod_cidr: str = "",
        service_cidr: str = "",
        fake_nodes: int = 0,
        load_balancer_pool: str = "",
        pod_manifest_path: Path | None = None,
        nodes_apart: Sequence[str] = (),
    ) -> Options:
        """Options that can work. Raises SetupError with the sentence for the user."""
        if nodes and no_node:
            raise SetupError("--node and --no-node contradict each other; give one of them")
        if not 0 <= fake_nodes <= MOST_FAKES:
            raise SetupError(f"--fake-nodes {fake_nodes}: must be a number from 0 to {MOST_FAKES}")
        names = list(nodes) or ([] if no_node or fake_nodes else [default_node_name()])
        every = [*names, *nodes_apart]
        for name in every:
            check_node_name(name)
        if len(set(every)) < len(every):
            raise SetupError(f"--node: each node needs a name of its own, but these were given: {', '.join(every)}")
        Listen.parse(listen)
        check_database_url(database_url)
        pods = str(ranges.network(pod_cidr, "--pod-cidr")) if pod_cidr else ""
        services = str(ranges.network(service_cidr, "--service-cidr")) if service_cidr else ""
        directory = str(data_dir.expanduser().absolute())
        manifests = str(pod_manifest_path.expanduser().absolute()) if pod_manifest_path is not None else ""
        return cls(
            directory,
            listen,
            database_url,
            tuple(names),
            log_level,
            tuple(server_arguments),
            pods,
            services,
            fake_nodes,
            str(ranges.network(load_balancer_pool, POOL_OPTION, 1)) if load_balancer_pool else "",
            manifests,
            tuple(nodes_apart),
        )

    def encode(self) -> str:
        """As JSON, for the detached process."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Options:
        """From ``encode``'s text."""
        return cls(**json.loads(text))


def check_database_url(url: str) -> None:
    """Raises SetupError for a URL that is none of PostgreSQL, or that has a password in it."""
    if not url:
        return
    try:
        parts = urlsplit(url)
        password = parts.password
    except ValueError as error:
        raise SetupError(f"--database-url: {error}") from None
    if parts.scheme not in {"postgresql", "postgres"}:
        raise SetupError("--database-url: must look like postgresql://USER@HOST:5432/DATABASE")
    if password or "password=" in parts.query:
        raise SetupError(
            "--database-url: a password in an argument can be read by every process of this host; "
            f"put it into the environment variable {PASSWORD_VARIABLE}, or into a file that {PASSWORD_FILE_VARIABLE} names"
        )


def database_password() -> str:
    """The password from the environment, or from the file that it names; "" where there is none. Raises SetupError."""
    if value := os.environ.get(PASSWORD_VARIABLE):
        return value
    if not (path := os.environ.get(PASSWORD_FILE_VARIABLE)):
        return ""
    try:
        return Path(path).read_text("utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"{PASSWORD_FILE_VARIABLE}={path}: the database's password cannot be read: {error}") from None
