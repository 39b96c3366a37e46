"""``list``, ``show``, ``usage``: what tenants there are, what they have, what they use."""

from __future__ import annotations

import time
from calendar import timegm
from typing import Annotated, Any

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, ContextName, DataDir, KubeconfigFile, Output
from moorage.cli.tenants.way import Document, TenantName, all_tenants, check_output, complete, open_way, read


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(name="list")(list_)
    app.command(epilog="Everything, as it is stored: moorage tenants show blue --output yaml")(show)
    app.command(epilog="Examples: moorage tenants usage | moorage tenants usage blue")(usage)


def list_(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    output: Output = "table",
) -> None:
    """Show the tenants that you may see: all of them, or those that you belong to."""
    from moorage.cli.output import age, structured, table
    from moorage.cli.tenants.amounts import fullest

    check_output(output)
    found = all_tenants(open_way(data_dir, kubeconfig, context))
    if output != "table":
        structured({"apiVersion": "tenancy.moorage.io/v1", "kind": "TenantList", "items": found}, output)
        return
    if not found:
        print("there is no tenant that you may see; an administrator makes one with: moorage tenants create NAME")
        return
    rows = []
    for tenant in found:
        hard, used = _usage(tenant)
        name, part = fullest(hard, used)
        metadata = tenant["metadata"]
        rows.append(
            (
                metadata["name"],
                _phase(tenant),
                _of(str((tenant.get("status") or {}).get("namespaceCount", 0)), hard.get("count/namespaces")),
                f"{name} {part:.0%}" if name else "-",
                ", ".join(each["name"] for each in (tenant.get("spec") or {}).get("owners") or ()) or "-",
                age(_seconds(metadata["creationTimestamp"])),
            )
        )
    table(("NAME", "PHASE", "NAMESPACES", "FULLEST", "OWNERS", "AGE"), rows)


def show(
    name: TenantName,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    output: Output = "table",
) -> None:
    """Show a tenant: its people, its namespaces, what it may do and what it uses."""
    from moorage.cli.output import structured

    check_output(output)
    tenant = read(open_way(data_dir, kubeconfig, context), name)
    if output != "table":
        structured(tenant, output)
        return
    spec, status = tenant.get("spec") or {}, tenant.get("status") or {}
    lines = [("tenant", name), ("phase", _phase(tenant))]
    if spec.get("description"):
        lines.append(("about", spec["description"]))
    lines.append(("owners", ", ".join(map(_subject, spec.get("owners") or ())) or "none"))
    lines.append(("members", ", ".join(map(_subject, spec.get("members") or ())) or "none"))
    lines.append(("namespaces", ", ".join(status.get("namespaces") or ()) or "none"))
    lines += _rules(spec)
    width = max(len(label) for label, _ in lines)
    print("\n".join(f"{label.ljust(width)}   {text}" for label, text in lines))
    for each in status.get("conditions") or ():
        if each.get("type") == "Ready" and each.get("status") != "True":
            print(f"not in order: {each.get('message', '')}")
    print()
    _print_usage(tenant)


def usage(
    name: Annotated[
        str,
        typer.Argument(metavar="[NAME]", help="The tenant; without, all that you may see.", autocompletion=complete),
    ] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
    output: Output = "table",
) -> None:
    """Show what tenants use of what they may, with bars."""
    from moorage.cli.output import structured

    check_output(output)
    session = open_way(data_dir, kubeconfig, context)
    found = [read(session, name)] if name else all_tenants(session)
    if output != "table":
        items = [
            {"name": each["metadata"]["name"], **dict(zip(("hard", "used"), _usage(each), strict=True))}
            for each in found
        ]
        structured(items[0] if name else {"items": items}, output)
        return
    for index, tenant in enumerate(found):
        if not name:
            print(("" if index == 0 else "\n") + tenant["metadata"]["name"])
        _print_usage(tenant)


def _print_usage(tenant: Document) -> None:
    from moorage.cli.output import table
    from moorage.cli.tenants.amounts import WARN, bar, share

    hard, used = _usage(tenant)
    if not hard:
        print("no limits; set some with: kubectl edit tenant " + tenant["metadata"]["name"] + " (spec.quota.hard)")
        return
    rows = []
    for resource in sorted(hard):
        amount = used.get(resource, "0")
        part = share(amount, hard[resource])
        rows.append((resource, amount, hard[resource], bar(part), f"{part:.0%}" + (" !" if part >= WARN else "")))
    table(("RESOURCE", "USED", "LIMIT", "", "SHARE"), rows)


def _usage(tenant: Document) -> tuple[dict[str, str], dict[str, str]]:
    """(limits, what is used of them): as counted, where the server has counted, else as the Tenant says."""
    from moorage.resources.tenancy import hard_limits

    counted = (tenant.get("status") or {}).get("usage") or {}
    hard = hard_limits(tenant)
    used = counted.get("used") or {}
    return hard, {name: used.get(name, "0") for name in hard}


def _phase(tenant: Document) -> str:
    status = tenant.get("status") or {}
    phase = str(status.get("phase") or "Active")
    return f"{phase} until {status['deleteAt']}" if phase == "Deleting" and status.get("deleteAt") else phase


def _subject(subject: dict[str, Any]) -> str:
    kind, name = subject.get("kind", ""), subject.get("name", "")
    shown = {
        "Group": f"group {name}",
        "ServiceAccount": f"service account {subject.get('namespace', '')}/{name}",
    }.get(kind, name)
    return f"{shown} ({subject['role']})" if subject.get("role") else shown


def _rules(spec: Document) -> list[tuple[str, str]]:
    """What a tenant may, in words, where something is said."""
    network, services = spec.get("network") or {}, spec.get("serviceTypes") or {}
    friends = ", ".join(network.get("allowFrom") or ())
    isolated = "its own pods and the platform's" + (f", and those of {friends}" if friends else "")
    lines = [
        ("pod security", str((spec.get("podSecurity") or {}).get("enforce", ""))),
        ("reached by", isolated if network.get("isolation", True) else "everybody"),
        ("services", ", ".join(services.get("allowed") or ()) or "none"),
    ]
    for label, field in (
        ("images from", "registries"),
        ("priority", "priorityClasses"),
        ("storage", "storageClasses"),
        ("ingress", "ingressClasses"),
        ("host names", "hostnames"),
        ("host paths", "hostPaths"),
        ("host ports", "hostPorts"),
    ):
        allowed = (spec.get(field) or {}).get("allowed")
        if allowed is not None:
            lines.append((label, ", ".join(allowed) or "none"))
    selector = (spec.get("nodePools") or {}).get("selector") or {}
    if selector:
        lines.append(("nodes", ",".join(f"{key}={value}" for key, value in sorted(selector.items()))))
    return lines


def _of(count: str, limit: str | None) -> str:
    return count if limit is None else f"{count}/{limit}"


def _seconds(stamp: str) -> float:
    return timegm(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ"))
