"""``moorage teams``: a place for a team in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, DataDir, fail

app = typer.Typer(
    no_args_is_help=True, help="Teams: a namespace and a token each.", epilog="Example: moorage teams create blue"
)


@app.callback()
def _group() -> None:
    """Teams: a namespace and a token each."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The team's name; its first namespace gets the same.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the team's kubeconfig; default: NAME.kubeconfig here.")
    ] = None,
) -> None:
    """Make a namespace for the team, and a kubeconfig that the team works and pushes with."""
    from moorage.cli.session import Session
    from moorage.cli.tokens import make
    from moorage.supervisor import kubeconfig

    session = Session(data_dir)
    labels = {"moorage.io/team": name}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    code, answer = session.try_request("POST", "/api/v1/namespaces", namespace)
    if code == 409:
        found = session.request("GET", f"/api/v1/namespaces/{name}")
        if found["metadata"].get("labels", {}).get("moorage.io/team") != name:
            fail(
                f'the namespace "{name}" exists and is not this team\'s; hand it over with: '
                f"kubectl label namespace {name} moorage.io/team={name}"
            )
    elif code >= 400:
        fail(answer.get("message") or f"the API server answered {code}")
    token = make(session, {"team": name, "description": "moorage teams create"})
    file = (out or Path(f"{name}.kubeconfig")).absolute()
    kubeconfig.write(
        file,
        server=session.config.server,
        ca_pem=session.config.ca_pem.encode("ascii"),
        token=token,
        user=f"team:{name}",
        namespace=name,
    )
    print(
        f'team "{name}": namespace {name}, kubeconfig {file}\n'
        f"  kubectl --kubeconfig {file} get pods\n"
        f"push to deploy (user name: anything; password: the token in the kubeconfig):\n"
        f"  GIT_SSL_CAINFO={session.file.parent}/pki/ca.crt git push {session.config.server}/git/{name}/REPOSITORY.git main"
    )
