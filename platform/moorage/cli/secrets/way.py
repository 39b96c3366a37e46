"""Where a command's Secret is, and the way to it: the options that all commands of the group share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, fail
from moorage.cli.session import Session

Document = dict[str, Any]

DataDirectory = Annotated[
    Path, typer.Option("--data-dir", envvar="MOORAGE_DATA_DIR", help="The installation whose administrator asks.")
]
KubeconfigFile = Annotated[
    Path | None, typer.Option("--kubeconfig", help="Whose rights to use; default: KUBECONFIG, then --data-dir's.")
]
ContextName = Annotated[str, typer.Option("--context", help="A context of the kubeconfig; default: its current one.")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="Default: the context's namespace, or default.")]


def _known_form(output: str) -> str:
    if output not in ("table", "json", "yaml"):
        fail(f'--output "{output}": must be table, json or yaml')
    return output


Output = Annotated[str, typer.Option("--output", "-o", callback=_known_form, help="table, json or yaml.")]
SecretName = Annotated[str, typer.Argument(metavar="NAME", help="The Secret's name.")]

NO_DATA_DIR = DEFAULT_DATA_DIR
MERGE_PATCH = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Way:
    """A session and a namespace."""

    session: Session
    namespace: str

    def secret(self, name: str, suffix: str = "") -> str:
        """The path of a Secret, or of an endpoint of ours below it."""
        base = f"/apis/moorage.io/v1/namespaces/{self.namespace}" if suffix else f"/api/v1/namespaces/{self.namespace}"
        return f"{base}/secrets/{quote(name, safe='')}{suffix}"

    def sealed(self, name: str, suffix: str) -> str:
        """The path of an endpoint of a SealedSecret."""
        return f"/apis/moorage.io/v1/namespaces/{self.namespace}/sealedsecrets/{quote(name, safe='')}{suffix}"

    def find(self, name: str) -> Document | None:
        """The Secret, or None. Fails for every other refusal."""
        code, answer = self.session.try_request("GET", self.secret(name))
        if code == 404:
            return None
        if code >= 400:
            fail(answer.get("message") or f"the API server answered {code}")
        return answer

    def need(self, name: str) -> Document:
        """The Secret; fails where it is not there, with what is."""
        found = self.find(name)
        if found is None:
            fail(
                f'there is no Secret "{name}" in namespace "{self.namespace}"; '
                f"see: moorage secrets list -n {self.namespace}"
            )
        return found


def open_way(data_dir: Path, kubeconfig: Path | None, context: str, namespace: str = "") -> Way:
    """The way that the options name. Fails where the API cannot be asked."""
    file = kubeconfig
    if file is None and not (data_dir != NO_DATA_DIR or "MOORAGE_DATA_DIR" in os.environ):
        given = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
        file = next((each for each in given if each.exists()), given[0] if given else None)
    session = Session(data_dir, kubeconfig=file, context=context)
    return Way(session, namespace or session.config.namespace or "default")
