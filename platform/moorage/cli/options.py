"""Options that several commands share, and the one way to fail."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="MOORAGE_DATA_DIR", help="Where the installation keeps everything."),
]
DEFAULT_DATA_DIR = Path("~/.moorage")

KubeconfigFile = Annotated[
    Path | None,
    typer.Option(
        "--kubeconfig",
        envvar="KUBECONFIG",
        help="Whose identity to use. Default: the installation's administrator here, else ~/.kube/config.",
    ),
]
ContextName = Annotated[
    str, typer.Option("--context", help="Which context of the kubeconfig. Default: its current one.")
]
Output = Annotated[str, typer.Option("--output", "-o", help="table, json or yaml.")]

PoolOption = Annotated[
    str,
    typer.Option(
        "--load-balancer-pool", help="A network whose addresses Services of type LoadBalancer get; none if empty."
    ),
]
ManifestPath = Annotated[
    Path | None,
    typer.Option(
        "--pod-manifest-path",
        resolve_path=True,
        help="A folder of manifests: pods that the node runs by itself (static pods).",
    ),
]
LogLevel = Annotated[str, typer.Option("--log-level", help="DEBUG, INFO, WARNING or ERROR.")]


def fail(error: object, code: int = 1) -> NoReturn:
    """Print one sentence and leave."""
    print(f"moorage: {error}", file=sys.stderr)
    raise typer.Exit(code)


AdmissionConfig = Annotated[
    Path | None,
    typer.Option(
        "--admission-control-config-file",
        help="Pod security where namespaces have no labels, and who is exempt: an AdmissionConfiguration as kube-apiserver's.",
    ),
]


def admission_arguments(config_file: Path | None) -> list[str]:
    """The same for ``moorage server``. Raises SetupError for a file that cannot be used."""
    from moorage.supervisor.layout import SetupError
    from moorage_tenants.configuration_fields import BadConfiguration
    from moorage_tenants.podsecurity.configuration import OPTION, read

    if config_file is None:
        return []
    try:
        read(config_file)
    except BadConfiguration as error:
        raise SetupError(f"{OPTION} {error}") from None
    return [OPTION, str(config_file.absolute())]
