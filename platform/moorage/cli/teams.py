"""``moorage teams``: a tenant with a namespace of its own name and a token for the whole team, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, ContextName, DataDir, KubeconfigFile, fail

app = typer.Typer(
    no_args_is_help=True,
    help="Teams: a tenant, a namespace and a token each. For people who log in by themselves see: moorage tenants",
    epilog="Example: moorage teams create blue",
)


@app.callback()
def _group() -> None:
    """Teams: a tenant, a namespace and a token each."""


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="The team's name; its tenant and its first namespace get the same.")],
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    out: Annotated[
        Path | None, typer.Option(help="Where to write the team's kubeconfig; default: NAME.kubeconfig here.")
    ] = None,
) -> None:
    """Make a tenant that the team owns, its namespace, and a kubeconfig that the team works and pushes with."""
    from moorage.cli.tenants.way import PATH, open_way
    from moorage.cli.tokens import make
    from moorage.resources.tenancy import TENANT_LABEL
    from moorage.supervisor import kubeconfig as kubeconfigs

    session = open_way(data_dir, kubeconfig, context)
    owners = [{"kind": "Group", "name": f"teams:{name}"}]
    tenant = {
        "apiVersion": "tenancy.moorage.io/v1",
        "kind": "Tenant",
        "metadata": {"name": name},
        "spec": {"owners": owners},
    }
    code, answer = session.try_request("POST", PATH, tenant)
    if code == 409:
        found = session.request("GET", f"{PATH}/{name}")
        if not any(owner.items() >= owners[0].items() for owner in found["spec"].get("owners", ())):
            fail(
                f'the tenant "{name}" exists and the group teams:{name} does not own it; choose another name, or let it: '
                f"moorage tenants invite {name} teams:{name} --group --owner"
            )
    elif code >= 400:
        fail(answer.get("message") or f"the API server answered {code}")
    labels = {TENANT_LABEL: name}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    code, answer = session.try_request("POST", "/api/v1/namespaces", namespace)
    if code == 409:
        found = session.request("GET", f"/api/v1/namespaces/{name}")
        if found["metadata"].get("labels", {}).get(TENANT_LABEL) != name:
            fail(
                f'the namespace "{name}" exists and is not this team\'s; hand it over with: '
                f"kubectl label namespace {name} {TENANT_LABEL}={name}"
            )
    elif code >= 400:
        fail(answer.get("message") or f"the API server answered {code}")
    token = make(session, {"team": name, "description": "moorage teams create"})
    file = (out or Path(f"{name}.kubeconfig")).absolute()
    kubeconfigs.write(
        file,
        server=session.config.server,
        ca_pem=session.config.ca_pem.encode("ascii"),
        token=token,
        user=f"team:{name}",
        namespace=name,
    )
    print(
        f'team "{name}": tenant {name}, namespace {name}, kubeconfig {file}\n'
        f"  kubectl --kubeconfig {file} get pods\n"
        f"push to deploy (user name: anything; password: the token in the kubeconfig):\n"
        f"  GIT_SSL_CAINFO={session.file.parent}/pki/ca.crt git push {session.config.server}/git/{name}/REPOSITORY.git main"
    )
