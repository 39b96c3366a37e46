"""``invite`` and ``members``: who works in a tenant."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, ContextName, DataDir, KubeconfigFile, Output, fail
from moorage.cli.tenants.way import Document, TenantName, change, check_output, open_way, read

if TYPE_CHECKING:
    from moorage.cli.session import Session

DEFAULT_ROLE = "edit"
DEFAULT_TTL = "30d"


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(
        epilog="Examples: moorage tenants invite blue bob | moorage tenants invite blue blue-team --group --role view | "
        "moorage tenants invite blue blue-ci/robot --service-account | moorage tenants invite blue bob --token"
    )(invite)
    app.command(epilog="Examples: moorage tenants members blue | moorage tenants members blue --remove bob")(members)


def invite(
    name: TenantName,
    who: Annotated[str, typer.Argument(help="A user, as kubectl auth whoami shows the name; with --group a group.")],
    role: Annotated[
        str, typer.Option(help="view, edit, admin, or a ClusterRole that was opened to tenants.")
    ] = DEFAULT_ROLE,
    group: Annotated[bool, typer.Option("--group", help="WHO is a group of the login provider.")] = False,
    service_account: Annotated[
        bool, typer.Option("--service-account", help="WHO is a service account: NAMESPACE/NAME.")
    ] = False,
    owner: Annotated[bool, typer.Option("--owner", help="As an owner (administrators only).")] = False,
    token: Annotated[
        bool, typer.Option("--token", help="Make a token too, for somebody without a login (administrators only).")
    ] = False,
    ttl: Annotated[str, typer.Option(help="How long the token is valid: 12h, 30d.")] = DEFAULT_TTL,
    out: Annotated[
        Path | None, typer.Option(help="Where to write the kubeconfig with the token; default: WHO.kubeconfig here.")
    ] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Let somebody work in a tenant, and print what to send to them. Owners may do this for their own tenants."""
    if group and service_account:
        fail("give --group or --service-account, not both")
    if token and (group or service_account):
        fail("--token is for a person; a service account gets one with: kubectl create token")
    session = open_way(data_dir, kubeconfig, context)
    subject = _subject(who, group, service_account)
    tenant = change(session, name, lambda current: _added(current, subject, role, owner))
    namespace = _home(tenant)
    what = "an owner" if owner else f"a member with role {role}"
    print(f'{who} is {what} of tenant "{name}"')
    if token:
        print(_with_token(session, name, who, ttl, out, namespace))
    elif not service_account:
        print(_with_login(session, who, group, namespace))


def members(
    name: TenantName,
    remove: Annotated[list[str] | None, typer.Option(help="Take this member (or group) out; may be repeated.")] = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    output: Output = "table",
) -> None:
    """Show who owns a tenant and who works in it, or take members out."""
    from moorage.cli.output import structured, table

    check_output(output)
    session = open_way(data_dir, kubeconfig, context)
    tenant = change(session, name, lambda current: _without(current, remove)) if remove else read(session, name)
    people = [{**each, "role": "owner"} for each in tenant["spec"].get("owners") or ()]
    people += tenant["spec"].get("members") or ()
    if output != "table":
        structured({"tenant": name, "members": people}, output)
        return
    rows = [(each["kind"], _shown(each), each["role"]) for each in people]
    table(("KIND", "NAME", "ROLE"), rows)


def _subject(who: str, group: bool, service_account: bool) -> dict[str, str]:
    if service_account:
        namespace, slash, name = who.partition("/")
        if not slash or not namespace or not name:
            fail(f'"{who}": a service account is NAMESPACE/NAME')
        return {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    return {"kind": "Group" if group else "User", "name": who}


def _same(one: Document, other: Document) -> bool:
    return all(one.get(field, "") == other.get(field, "") for field in ("kind", "name", "namespace"))


def _added(tenant: Document, subject: dict[str, str], role: str, owner: bool) -> Document | None:
    """The patch that makes ``subject`` what is asked for; one role for each member."""
    field = "owners" if owner else "members"
    present: list[Document] = tenant["spec"].get(field) or []
    entry: Document = subject if owner else {**subject, "role": role}
    if entry in present:
        return None
    return {"spec": {field: [*(each for each in present if not _same(each, subject)), entry]}}


def _without(tenant: Document, names: list[str]) -> Document | None:
    present: list[Document] = tenant["spec"].get("members") or []
    shown = {_shown(each) for each in present}
    missing = [each for each in names if each not in shown]
    if missing:
        name = tenant["metadata"]["name"]
        fail(f'tenant "{name}" has no member {", ".join(missing)}; see: moorage tenants members {name}')
    return {"spec": {"members": [each for each in present if _shown(each) not in names]}}


def _shown(subject: dict[str, Any]) -> str:
    return f"{subject['namespace']}/{subject['name']}" if subject.get("namespace") else str(subject["name"])


def _home(tenant: Document) -> str:
    """The namespace that a newcomer starts in: the one named like the tenant, else the first."""
    found = (tenant.get("status") or {}).get("namespaces") or ()
    name = str(tenant["metadata"]["name"])
    return name if name in found else next(iter(found), "")


def _with_login(session: Session, who: str, group: bool, namespace: str) -> str:
    place = f" --namespace {namespace}" if namespace else ""
    lines = [
        f"send {'them' if group else who} this:" if who else "send this:",
        f"  moorage login --server {session.config.server} --ca-hash {_ca_hash(session)}{place}",
        "  kubectl get pods" if namespace else "  kubectl get namespaces",
    ]
    if namespace:
        lines.append(f"  git push {session.config.server}/git/{namespace}/REPOSITORY.git main")
    return "\n".join(lines)


def _ca_hash(session: Session) -> str:
    """SHA-256 of the CA certificate, by which ``moorage login`` knows the server."""
    import hashlib
    import ssl

    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(session.config.ca_pem)).hexdigest() if session.config.ca_pem else ""


def _with_token(session: Session, tenant: str, who: str, ttl: str, out: Path | None, namespace: str) -> str:
    from moorage.cli.tokens import make, seconds
    from moorage.supervisor import kubeconfig as kubeconfigs

    file = (out or Path(f"{who}.kubeconfig")).absolute()
    spec = {"user": who, "description": f"moorage tenants invite {tenant}", "ttlSeconds": seconds(ttl)}
    secret = make(session, spec)
    kubeconfigs.write(
        file,
        server=session.config.server,
        ca_pem=session.config.ca_pem.encode("ascii"),
        token=secret,
        user=who,
        namespace=namespace,
    )
    return (
        f"send {who} this file by a way that nobody else reads; it is shown nowhere else and valid for {ttl}:\n"
        f"  {file}\n"
        f"they use it with: export KUBECONFIG={file.name}"
    )
