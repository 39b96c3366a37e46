"""``delete``, ``restore``, ``suspend``, ``resume``: ends that can be taken back, but for the one that is typed in."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from moorage.cli.options import DEFAULT_DATA_DIR, ContextName, DataDir, KubeconfigFile, fail
from moorage.cli.tenants.way import Document, TenantName, change, open_way, path_of, read

DEFAULT_DAYS = 7


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command(epilog="Undo it with: moorage tenants restore NAME")(delete)
    app.command()(restore)
    app.command(epilog="Undo it with: moorage tenants resume NAME")(suspend)
    app.command()(resume)


def delete(
    name: TenantName,
    keep_days: Annotated[int, typer.Option(help="For how many days everything is kept.", min=0)] = DEFAULT_DAYS,
    stop: Annotated[
        bool, typer.Option("--stop", help="Scale what runs to zero meanwhile; restore brings it back.")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="Delete everything at once. This cannot be undone.")] = False,
    confirm: Annotated[str, typer.Option(help="With --now: the tenant's name, where nobody can be asked.")] = "",
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Mark a tenant for deletion: its people are kept out, everything is kept for some days, then it goes."""
    session = open_way(data_dir, kubeconfig, context)
    tenant = read(session, name)
    spaces = (tenant.get("status") or {}).get("namespaces") or []
    if not spaces and not keep_days:
        now = True
    if now:
        _confirm(name, spaces, confirm)
        keep_days = 0
    mark = {"keepDays": keep_days, "workloads": "Stop" if stop else "Keep"}
    marked = change(session, name, lambda _current: {"spec": {"deletion": mark}})
    held = f"{len(spaces)} namespace{'s' if len(spaces) != 1 else ''}"
    if keep_days == 0:
        session.try_request("DELETE", path_of(name))
        print(f'tenant "{name}" is being deleted with {held}; see: kubectl get tenant {name}')
        return
    at = marked["spec"]["deletion"].get("requestedAt", "")
    print(
        f'tenant "{name}" is marked for deletion (since {at}): its people are kept out, what runs is '
        f"{'stopped' if stop else 'left running'}\n"
        f"it goes with {held} in {keep_days} days, unless you take it back with: moorage tenants restore {name}"
    )


def restore(
    name: TenantName,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Take the mark for deletion away: people are let in again, and what was stopped starts as it was."""
    session = open_way(data_dir, kubeconfig, context)
    tenant = read(session, name)
    if tenant["metadata"].get("deletionTimestamp"):
        fail(f'tenant "{name}" is being deleted already; that cannot be undone')
    if tenant["spec"].get("deletion") is None:
        fail(f'tenant "{name}" is not marked for deletion')
    change(session, name, lambda _current: {"spec": {"deletion": None}})
    print(f'tenant "{name}" is restored: its people are let in again')


def suspend(
    name: TenantName,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Keep a tenant's people out. What runs goes on."""
    change(open_way(data_dir, kubeconfig, context), name, lambda _current: {"spec": {"suspended": True}})
    print(f'tenant "{name}" is suspended: its people are kept out; let them in with: moorage tenants resume {name}')


def resume(
    name: TenantName,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    kubeconfig: KubeconfigFile = None,
    context: ContextName = "",
) -> None:
    """Let a suspended tenant's people in again."""
    change(open_way(data_dir, kubeconfig, context), name, _resumed)
    print(f'tenant "{name}" is active')


def _resumed(tenant: Document) -> Document | None:
    return {"spec": {"suspended": None}} if tenant["spec"].get("suspended") else None


def _confirm(name: str, namespaces: list[str], given: str) -> None:
    """Let nobody delete a tenant at once without typing its name."""
    if given:
        if given != name:
            fail(f'--confirm "{given}" is not the name of the tenant ("{name}"); nothing was done')
        return
    if not sys.stdin.isatty():
        fail(f"--now deletes everything at once and for good; to say that you mean it: --confirm {name}")
    listed = ", ".join(namespaces) or "no namespaces"
    print(f'This deletes tenant "{name}" with {listed} and everything in them, at once and for good.')
    if input("Type the tenant's name to go on: ").strip() != name:
        fail("that is not its name; nothing was done")
