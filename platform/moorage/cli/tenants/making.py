"""``create``: a tenant, and what its owners do next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, ContextName, DataDir, KubeconfigFile, Output, fail
from moorage.cli.tenants.way import PATH, Document, check_output, open_way

_USUAL = {"cpu": "100m", "memory": "128Mi"}
"""What a container requests that says nothing itself, where the quota counts it and no default was given."""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command(
        epilog="Examples: moorage tenants create blue --owner alice | "
        "moorage tenants create blue --owner-group blue-leads --quota cpu=8,memory=16Gi --namespaces 5 "
        "--registry registry.example.com/blue/* | moorage tenants create blue --file tenant.yaml"
    )(create)


def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the tenant.")],
    owner: Annotated[
        list[str] | None, typer.Option(help="A user who owns it, as kubectl auth whoami shows the name.")
    ] = None,
    owner_group: Annotated[list[str] | None, typer.Option(help="A group that owns it.")] = None,
    member: Annotated[
        list[str] | None, typer.Option(help="USER or USER:ROLE who works in it (view, edit, admin; default edit).")
    ] = None,
    namespaces: Annotated[int | None, typer.Option(help="How many namespaces it may have.")] = None,
    prefix: Annotated[bool, typer.Option("--prefix", help="Its namespaces must be named NAME or NAME-...")] = False,
    quota: Annotated[
        list[str] | None, typer.Option(help="What all its namespaces may use together: cpu=8,memory=16Gi,pods=50,...")
    ] = None,
    default_requests: Annotated[
        list[str] | None, typer.Option(help="What containers request that ask for nothing: cpu=100m,memory=128Mi")
    ] = None,
    registry: Annotated[
        list[str] | None, typer.Option(help="Where images may come from: registry.example.com/blue/*")
    ] = None,
    level: Annotated[str, typer.Option(help="Pod security level: privileged, baseline or restricted.")] = "",
    description: Annotated[str, typer.Option(help="Who this is.")] = "",
    file: Annotated[Path | None, typer.Option(help="A Tenant in YAML to start from.", exists=True)] = None,
    namespace: Annotated[
        list[str] | None, typer.Option(help="Make this namespace of it at once; may be repeated.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the Tenant and write nothing.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    output: Output = "table",
) -> None:
    """Make a tenant. What is not said here is said later with: kubectl edit tenant NAME."""
    from moorage.cli.output import structured
    from moorage.cli.tenants.amounts import read_amounts

    check_output(output)
    document = _from(file, name)
    spec: dict[str, Any] = document.setdefault("spec", {})
    owners = [{"kind": "User", "name": each} for each in owner or ()]
    owners += [{"kind": "Group", "name": each} for each in owner_group or ()]
    for field, added in (("owners", owners), ("members", [_member(each) for each in member or ()])):
        if added:
            spec[field] = [*(spec.get(field) or ()), *added]
    if namespaces is not None:
        spec.setdefault("namespaces", {})["limit"] = namespaces
    if prefix:
        spec.setdefault("namespaces", {})["requirePrefix"] = True
    if quota:
        hard = spec.setdefault("quota", {}).setdefault("hard", {})
        hard.update(read_amounts("--quota", quota))
    if default_requests:
        amounts = read_amounts("--default-requests", default_requests)
        spec["defaultRequests"] = {key.removeprefix("requests."): text for key, text in amounts.items()}
    if assumed := _assumed(spec):
        spec["defaultRequests"] = {**(spec.get("defaultRequests") or {}), **assumed}
    if registry:
        spec["registries"] = {"allowed": list(registry)}
    if level:
        spec["podSecurity"] = {"enforce": level}
    if description:
        spec["description"] = description
    if dry_run and output == "table":
        output = "yaml"
    session = open_way(data_dir, kubeconfig, context)
    made = session.request("POST", f"{PATH}?dryRun=All" if dry_run else PATH, document)
    for each in () if dry_run else namespace or ():
        labels = {"tenancy.moorage.io/tenant": name}
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": each, "labels": labels}}
        session.request("POST", "/api/v1/namespaces", body)
    if output != "table":
        structured(made, output)
        return
    print(_next_steps(name, spec, session.config.server, bool(namespace), assumed))


def _from(file: Path | None, name: str) -> Document:
    document: Any = {}
    if file is not None:
        import yaml

        try:
            document = yaml.safe_load(file.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            fail(f"{file}: not YAML: {error}")
        if not isinstance(document, dict) or document.get("kind") != "Tenant":
            fail(f"{file}: must hold one object of kind Tenant (apiVersion: tenancy.moorage.io/v1)")
    metadata = {**(document.get("metadata") or {}), "name": name}
    return {**document, "apiVersion": "tenancy.moorage.io/v1", "kind": "Tenant", "metadata": metadata}


def _member(text: str) -> dict[str, str]:
    """USER or USER:ROLE. Names of users may have colons (oidc:bob); roles have none."""
    user, colon, role = text.rpartition(":")
    if colon and role in ("view", "edit", "admin"):
        return {"kind": "User", "name": user, "role": role}
    return {"kind": "User", "name": text}


def _next_steps(name: str, spec: Document, server: str, has_namespace: bool, assumed: Mapping[str, str]) -> str:
    lines = [f'tenant "{name}" is made']
    if not spec.get("owners"):
        lines.append("it has no owner yet: only administrators can make namespaces in it; give it one with:")
        lines.append(f"  moorage tenants invite {name} USER --owner")
    else:
        lines.append("its owners go on by themselves:")
        lines.append(f"  moorage login --server {server}")
        if not has_namespace:
            lines.append(f"  kubectl create namespace {name}")
        lines.append(f"  moorage tenants invite {name} USER")
    if assumed:
        amounts = ", ".join(f"{resource}={amount}" for resource, amount in assumed.items())
        lines.append(f"containers that ask for nothing request {amounts}; change that in spec.defaultRequests:")
        lines.append(f"  kubectl edit tenant {name}")
    lines.append(f"watch what it uses with: moorage tenants usage {name}")
    return "\n".join(lines)


def _assumed(spec: Document) -> dict[str, str]:
    """Default requests for what the quota counts and a container may leave open: such pods would be refused."""
    hard = (spec.get("quota") or {}).get("hard") or {}
    given = dict(spec.get("defaultRequests") or {})
    for item in spec.get("limits") or ():
        if item.get("type") == "Container":
            given.update({**(item.get("default") or {}), **(item.get("defaultRequest") or {})})
    counted = [each for each in _USUAL if (f"requests.{each}" in hard or each in hard) and each not in given]
    return {each: _USUAL[each] for each in counted}
